"""Silence diffusers and transformers while they load pipelines; s2g reports what matters."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress progress bars, advice and deprecation warnings of diffusers and transformers."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    both: tuple[Any, Any] = (of_diffusers, of_transformers)
    levels = [module.get_verbosity() for module in both]
    for module in both:
        module.set_verbosity(module.CRITICAL)
        module.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for module, level in zip(both, levels, strict=True):
            module.set_verbosity(level)
            module.enable_progress_bar()

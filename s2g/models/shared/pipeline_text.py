"""The text encoders of stock pipelines: diffusers loads them and turns one prompt into embeddings, as its `__call__` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from s2g.config.pipelines import Located
from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.prompt_cache import Embedded, PromptCache
from s2g.models.shared.quiet import quiet
from s2g.models.shared.text import BOTH, CachedText, Encode
from s2g.models.shared.weights import fresh

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

VERSION = "1"  # raised whenever what is made of a prompt changes
Encoding = Callable[[Any, str, torch.device], Embedded]  # of one prompt, by a pipeline's own encoders


def cached_text(
    config: ModelConfig,
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    pipeline: Callable[[Mapping[str, Any]], Any],
    encoding: Encoding,
    names: Sequence[str] = BOTH,
    length: int | None = None,
    **more: str,
) -> CachedText:
    """Return embeddings of a pipeline's encoders in `dtype`, from the cache where it has them.

    pipeline: the stock pipeline from keyword arguments of from_pretrained; encoding: what of one prompt is kept; names,
    length: as CachedText has them; more: whatever else embeddings depend on.
    """
    made_by = {"version": VERSION, "text": located.text_sha256(), "dtype": str(dtype), "device": device.type, **more}

    @contextmanager
    def encoders() -> Iterator[Encode]:
        stock = load_text(config, located, device, dtype, pipeline)
        with quiet():
            yield lambda prompt: encoding(stock, prompt, device)

    return CachedText(PromptCache(config.name, made_by), encoders, device, names, length)


def load_text(
    config: ModelConfig,
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    pipeline: Callable[[Mapping[str, Any]], Any],
) -> DiffusionPipeline:
    """Load a stock pipeline of tokenizers and text encoders alone, on `device`; UserError for files that cannot be read."""
    absent = {part: None for part in located.layout.optional if part not in located.folders}
    with quiet():
        try:
            stock = pipeline({"torch_dtype": dtype, "local_files_only": True, "vae": None, "scheduler": None, **absent})
        except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
            first_line = str(error).splitlines()[0]
            raise UserError(
                f"{config.key} = {config.weights}: the text encoders in {located.root} cannot be read ({first_line})",
                allowed=f"{located.layout.pipeline} in diffusers' layout",
                todo="fetch the folder again",
            ) from error
    for part in located.layout.text:
        network = getattr(stock, part, None)
        if isinstance(network, nn.Module):
            nn.Module.to(fresh(network).eval(), device)
    return stock


def truncation(stock: Any, prompt: str, limits: Mapping[str, int]) -> str:
    """Say how many tokens of a prompt each tokenizer reads, where it truncates it; "" if none does."""
    remarks = []
    for name, most in limits.items():
        tokenizer = getattr(stock, name, None)
        if tokenizer is None:
            continue
        tokens = len(tokenizer(prompt, truncation=False).input_ids)
        if tokens > most:
            remarks.append(f"{name} reads {most} of {tokens} tokens")
    return ", ".join(remarks)

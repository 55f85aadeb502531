"""Torch's CPU operators on a single thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one CPU thread inside the block, or inside a function it decorates; restore the number afterwards.

    The last bits of a sum depend on how many threads share it, and on a busy machine threads wait for each other.
    """
    import torch  # callers load it themselves; importing this module must stay cheap

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

"""Peak memory, and units sampled in parts: where a batch does not fit, or a CPU is faster with less at a time."""

from __future__ import annotations

import gc
import math
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from s2g.guidance.base import Requirement
from s2g.models.base import Denoiser
from s2g.sampling.base import Sampler

T = TypeVar("T")
CACHED = 5_000_000  # bytes of a block's widest activation, beyond which a CPU is slower for each item (docs/decisions.md)
FEWEST = 8  # items: with fewer, the Python layers and other products cost more than the cache saves


def begin_peak(device: str) -> None:
    """Reset `peak`, where the system allows it."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the high-water mark
    except OSError:
        return


def peak(device: str) -> int:
    """Return the peak in bytes: torch's allocations on a CUDA GPU, else the whole process's resident memory."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means out of memory, on a GPU or a CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch's CPU allocator has no exception of its own.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def items_at_once(denoiser: Denoiser, sampler: Sampler, items: int, device: str) -> int:
    """Return how many items of a unit to sample together: all, but on a CPU no more than leave activations in its cache."""
    if device != "cpu" or Requirement.STEPS not in sampler.offers:  # an adaptive solver measures its error over the whole unit
        return items
    widest = max((m.out_features for m in denoiser.blocks[0].modules() if isinstance(m, nn.Linear)), default=0)
    branches = len(denoiser.order) if denoiser.passes == "batched" else 1
    each = 4 * widest * math.prod(denoiser.token_grid) * branches
    while items > FEWEST and items * each > CACHED:
        items = (items + 1) // 2
    return items


def in_parts(
    make: Callable[[Sequence[int]], T], items: Sequence[int], size: int | None = None
) -> list[tuple[Sequence[int], T]]:
    """Return (items, make(items)) of `size` items or all; out of memory, of halves and so on. One that does not fit raises."""
    done: list[tuple[Sequence[int], T]] = []
    at, size = 0, size or len(items)
    while at < len(items):
        part = items[at : at + size]
        made = _fitting(make, part)
        if made is None:
            size = (len(part) + 1) // 2
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        done.append((part, made[0]))
        at += len(part)
    return done


def _fitting(make: Callable[[Sequence[int]], T], part: Sequence[int]) -> tuple[T] | None:
    # A function of its own, so that the error's frames and their tensors are freed before the next attempt.
    try:
        return (make(part),)
    except (MemoryError, RuntimeError) as error:
        if len(part) == 1 or not is_out_of_memory(error):
            raise
        return None

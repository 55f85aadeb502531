"""Peak memory, and splitting a batch that does not fit."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")


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


def in_parts(make: Callable[[Sequence[int]], T], items: Sequence[int]) -> list[tuple[Sequence[int], T]]:
    """Return (items, make(items)); out of memory, of halves, quarters and so on. A single item that does not fit raises."""
    done: list[tuple[Sequence[int], T]] = []
    at, size = 0, len(items)
    while at < len(items):
        part = items[at : at + size]
        made = _fitting(make, part)
        if made is None:
            size = (size + 1) // 2
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

"""What is sampled together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A fixed group of consecutive items: the batch, and the atom of work."""

    index: int
    items: tuple[int, ...]
    seed: int
    mask_seed: int
    cycle: int = 0  # after how many items prompts repeat, where initial noise is an even sequence for each; else 0

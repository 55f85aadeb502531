"""What is sampled together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Unit:
    """A fixed group of consecutive items: the batch, and the atom of work."""

    index: int
    items: tuple[int, ...]
    seed: int
    mask_seed: int
    cycle: int = 0  # after how many items prompts repeat, where initial noise is an even sequence for each; else 0
    streams: Mapping[int, tuple[int, int]] = field(
        default_factory=dict, hash=False
    )  # item -> (seed, number), where it is its own

    def stream(self, item: int) -> tuple[int, int]:
        """Return seed and number of an item's noise."""
        return self.streams.get(item, (self.seed, item))

"""Effective guidance scale: how far a method goes along the direction of CFG, whatever it calls its knobs.

It tells a method that only amounts to a stronger scale from one that moves in another direction (the criticism of
arXiv 2602.22570).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from s2g.guidance.geometry import inner

if TYPE_CHECKING:
    from torch import Tensor


def effective_scale(guided: Tensor, cond: Tensor, uncond: Tensor) -> Tensor:
    """Return <guided - uncond, cond - uncond> / |cond - uncond|^2 per item, float64 [B]; nan where cond equals uncond.

    CFG's is its scale. The same in raw, velocity and denoised space, since one is an affine map of the other.
    """
    direction = (cond - uncond).double()
    return (inner(guided - uncond, direction) / inner(direction, direction)).flatten()


@dataclass
class EffectiveScale:
    """The effective scale of one unit: sums over items, by evaluation in the order in which they were made."""

    sums: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)  # items; 0 where there was no uncond branch

    def add(self, scales: Tensor | None) -> None:
        """Add one evaluation's effective scales [B]; None where there was no uncond branch, or no movement at all."""
        finite = [] if scales is None else [value for value in scales.tolist() if value == value]
        self.sums.append(sum(finite))
        self.counts.append(len(finite))

    def merge(self, other: EffectiveScale) -> None:
        """Take in other items of the same unit; an adaptive solver may have evaluated them more or less often."""
        self.sums = [a + b for a, b in zip_longest(self.sums, other.sums, fillvalue=0.0)]
        self.counts = [a + b for a, b in zip_longest(self.counts, other.counts, fillvalue=0)]

    def facts(self) -> dict[str, object]:
        """Return the unit's record: overall mean, number of evaluations, how many are left out, mean of each."""
        by = [round(total / count, 6) if count else None for total, count in zip(self.sums, self.counts, strict=True)]
        mean = round(sum(self.sums) / sum(self.counts), 6) if any(self.counts) else None
        return {"mean": mean, "evaluations": len(by), "left_out": by.count(None), "by_evaluation": by}

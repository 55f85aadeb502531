"""STG as its official Wan2.1 pipeline has it: away from the *negative* prompt's pass with skipped blocks, CFG included.

Its Wan2.1/pipeline.py has the formula. It is not the paper's (arXiv 2411.18664), which is guidance=stg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.guidance.base import State, Step
from s2g.guidance.perturbed import Perturbed, away_from
from s2g.network.branch import Branch, DropBlocks, Edit

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class STGOfficial(Perturbed):
    """guided + stg_scale (guided - perturbed): scales the whole guided prediction by 1 + stg_scale, so CFG grows with it."""

    stg_scale: float = 2.0  # junhahyung/STGuidance, Wan2.1/inference_low_memory.py, with layers [2] of 30

    @property
    def edit(self) -> Edit:
        return DropBlocks(self.layers)

    @property
    def weight(self) -> float:
        return self.stg_scale

    @property
    def skipped(self) -> Branch:
        """The pass with the negative prompt in which blocks are skipped."""
        return Branch("uncond", self.edit)

    def branches(self, step: Step) -> Sequence[Branch]:
        branches = self.base.branches(step)
        return (*branches, self.skipped) if branches and self.window.active(step) else branches

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        guided = self.base.combine(preds, step, state)
        return away_from(guided, guided, preds[self.skipped], self.weight) if self.window.active(step) else guided

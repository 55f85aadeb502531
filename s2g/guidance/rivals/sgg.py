"""SGG, segmented guidance (arXiv 2603.20584): CFG first, then guidance away from the network without chosen blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, BaseMethod, Requirement, State, Step
from s2g.guidance.cfg import cfg
from s2g.guidance.perturbed import away_from
from s2g.guidance.window import Window
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SGG(BaseMethod):
    """uncond + scale (cond - uncond) in the first share of the steps, cond + skip_scale (cond - skip) in the rest.

    Two evaluations a step throughout, the second of them less than a whole one in the second part.
    """

    scale: float = 4.5  # official, SD3.5 at 28 steps; 1 is cond alone in the first part
    skip_scale: float = 3.0  # official
    layers: tuple[int, ...] = (0,)  # blocks left out; models carry presets, a model without one its middle block
    split: float = 0.5  # share of the steps that are CFG's: official steps 1 to 14 of 28

    def __post_init__(self) -> None:
        if not self.layers:
            raise UserError("guidance.layers = []: nothing to leave out", allowed="at least one block")
        if not 0 < self.split <= 1:
            raise UserError(f"guidance.split = {self.split}", allowed="above 0, at most 1")

    @property
    def needs(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS})

    @property
    def neutral(self) -> str:
        if self.split == 1:
            return f"split = 1, {AT_ONE}" if self.scale == 1 else "split = 1: it is CFG"
        if self.skip_scale == 0:
            return f"skip_scale = 0, {AT_ONE}" if self.scale == 1 else "skip_scale = 0: it is CFG inside a window"
        return ""

    def first(self, step: Step) -> bool:
        """Whether this step is CFG's."""
        return Window(0, self.split).active(step)

    @property
    def skipped(self) -> Branch:
        """The conditional pass without the blocks."""
        return Branch("cond", DropBlocks(self.layers))

    def branches(self, step: Step) -> Sequence[Branch]:
        if self.first(step):
            return (COND,) if self.scale == 1 else (COND, UNCOND)
        return (COND,) if self.skip_scale == 0 else (COND, self.skipped)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        cond = preds[COND]
        if self.first(step):
            return cond if self.scale == 1 else cfg(cond, preds[UNCOND], self.scale)
        return cond if self.skip_scale == 0 else away_from(cond, cond, preds[self.skipped], self.skip_scale)

"""What skip layer, skip, perturbed-attention and smoothed-energy guidance share: away from an edited pass of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Guidance, State, Step
from s2g.guidance.cfg import CFG
from s2g.guidance.window import ALWAYS, InWindow, Window
from s2g.network.branch import COND, Branch, Edit

if TYPE_CHECKING:
    from torch import Tensor


def away_from(guided: Tensor, cond: Tensor, perturbed: Tensor, scale: float) -> Tensor:
    """Return guided + scale (D_cond - D_edited): S2's Eq. 4 with a chosen edit instead of a random one; any space will do."""
    return guided + scale * (cond - perturbed)


@dataclass(frozen=True)
class Perturbed(InWindow):
    """A base method and, inside the window, one edited conditional pass; the base alone outside."""

    base: Guidance = field(default_factory=CFG)
    layers: tuple[int, ...] = (0,)  # blocks that are edited; models carry presets, a model without one its middle block
    window: Window = ALWAYS

    def __post_init__(self) -> None:
        if not self.layers:
            raise UserError("guidance.layers = []: nothing to edit", allowed="at least one block")

    @property
    def edit(self) -> Edit:
        """What is done to the network in the edited pass."""
        raise NotImplementedError

    @property
    def weight(self) -> float:
        """The weight of cond - edited."""
        raise NotImplementedError

    @property
    def neutral(self) -> str:
        return "a weight of 0: it is its base" if self.weight == 0 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        branches = self.base.branches(step)
        if not branches or not self.window.active(step):
            return branches
        return (*branches, COND, Branch("cond", self.edit))

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        guided = self.base.combine(preds, step, state)
        if not self.window.active(step):
            return guided
        return away_from(guided, preds[COND], preds[Branch("cond", self.edit)], self.weight)

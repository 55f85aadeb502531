"""NAG, normalized attention guidance (arXiv 2505.21179): away from the negative text inside attention, not in the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from s2g.errors import UserError
from s2g.guidance.base import Ability, Guidance, State, Step
from s2g.guidance.cfg import CFG
from s2g.guidance.window import ALWAYS, InWindow, Window
from s2g.network.branch import COND, Branch, NormalizedAttention

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NAG(InWindow):
    """The base method with cond's pass replaced by one under NAG, in every block that attends to the text; the base alone
    outside the window. `guidance.base=none` is NAG alone.
    """

    around_wrappers: ClassVar[bool] = True

    base: Guidance = field(default_factory=CFG)
    nag_scale: float = 5.0  # official, Flux
    tau: float = 2.5  # the same: the guided attention is at most this many times as long as cond's, L1, token by token
    alpha: float = 0.25  # the same: its share
    window: Window = ALWAYS

    def __post_init__(self) -> None:
        if not self.tau >= 1:
            raise UserError(f"guidance.tau = {self.tau}", allowed="1 or more")
        if not 0 <= self.alpha <= 1:
            raise UserError(f"guidance.alpha = {self.alpha}", allowed="0 to 1")

    @property
    def asks(self) -> frozenset[Ability]:
        return self.base.asks | {Ability.TEXT}

    @property
    def neutral(self) -> str:
        if self.alpha == 0:
            return "alpha = 0: it is its base"
        return "nag_scale = 1: it is its base" if self.nag_scale == 1 else ""

    @property
    def guided(self) -> Branch:
        """The conditional pass under NAG."""
        return Branch("cond", NormalizedAttention(self.nag_scale, self.tau, self.alpha))

    def acts(self, step: Step) -> bool:
        return self.window.active(step) and COND in self.base.branches(step)

    def branches(self, step: Step) -> Sequence[Branch]:
        branches = self.base.branches(step)
        if self.neutral or not self.acts(step):
            return branches
        return [self.guided if branch == COND else branch for branch in branches]

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        if self.neutral or not self.acts(step):
            return self.base.combine(preds, step, state)
        return self.base.combine({**preds, COND: preds[self.guided]}, step, state)

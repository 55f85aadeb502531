"""NAG, normalized attention guidance (arXiv 2505.21179): away from the negative text inside attention, not in the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from s2g.errors import UserError
from s2g.guidance.autoguidance import WEAK, Autoguidance
from s2g.guidance.base import Ability, Guidance, State, Step, Wrapper
from s2g.guidance.cfg import CFG
from s2g.guidance.perturbed import Perturbed
from s2g.guidance.window import ALWAYS, InWindow, Window
from s2g.network.branch import COND, Branch, DropBlocks, NormalizedAttention

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NAG(InWindow):
    """The base method with NAG in its conditional passes, in every block that attends to the text; the base alone outside the
    window. `guidance.base=none` is NAG alone.

    A conditional pass without some blocks (S2, SLG) is led as cond's is, so that what its method takes away from cond is the
    blocks' share alone. Under another edit a pass cannot be led, and that base is refused. uncond and mid stay plain.
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
        method: Guidance = self.base
        while isinstance(method, Wrapper):
            if isinstance(method, Perturbed):
                self.led(Branch("cond", method.edit))
            method = method.inside
        if isinstance(method, Autoguidance):
            self.led(WEAK)

    @property
    def asks(self) -> frozenset[Ability]:
        return self.base.asks | {Ability.TEXT}

    @property
    def neutral(self) -> str:
        if self.alpha == 0:
            return "alpha = 0: it is its base"
        return "nag_scale = 1: it is its base" if self.nag_scale == 1 else ""

    def led(self, branch: Branch) -> Branch:
        """Return what is evaluated for a branch of the base: a conditional pass under NAG, another as it is.

        UserError for a conditional pass under an edit that does not go together with NAG.
        """
        if branch.condition != COND.condition:
            return branch
        if branch.edit is not None and not isinstance(branch.edit, DropBlocks):
            raise UserError(
                f"guidance = nag: its base evaluates {branch}, and that pass cannot be led away from the negative text as well",
                allowed="a base whose conditional passes are whole or without blocks: none, cfg, s2, slg, stg (mode residual)",
            )
        without = frozenset() if branch.edit is None else branch.edit.blocks
        return replace(branch, edit=NormalizedAttention(self.nag_scale, self.tau, self.alpha, without))

    def acts(self, step: Step) -> bool:
        return self.window.active(step) and any(b.condition == COND.condition for b in self.base.branches(step))

    def branches(self, step: Step) -> Sequence[Branch]:
        branches = self.base.branches(step)
        if self.neutral or not self.acts(step):
            return branches
        return [self.led(branch) for branch in branches]

    def second(self, preds: Mapping[Branch, Tensor], step: Step) -> tuple[Tensor, float]:
        return self.base.second(self._of_base(preds, step), step)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return self.base.combine(self._of_base(preds, step), step, state)

    def _of_base(self, preds: Mapping[Branch, Tensor], step: Step) -> Mapping[Branch, Tensor]:
        """Return the predictions under the names that the base gave its branches; `second` is given those of point 0 alone."""
        if self.neutral or not self.acts(step):
            return preds
        return {branch: preds[self.led(branch)] for branch in self.base.branches(step) if self.led(branch) in preds}

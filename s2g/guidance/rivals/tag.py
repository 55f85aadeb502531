"""TAG, tangential amplifying guidance (arXiv 2510.04533): more of what a step changes across x, and no more of its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from s2g.errors import UserError
from s2g.guidance.base import Guidance, Requirement, State, Step
from s2g.guidance.cfg import CFG
from s2g.guidance.geometry import part_along
from s2g.guidance.window import ALWAYS, InWindow, Window
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


def amplified(guided: Tensor, x: Tensor, eta: float) -> Tensor:
    """Apply Eq. 7 to a prediction: its part along x [B, ...] stays, the rest is multiplied by eta; any space will do.

    The source splits the solver's increment x' - x. Under Euler and DDIM it is a x + b prediction, so both are one.
    """
    if eta == 1:
        return guided
    across = guided.double() - part_along(guided, x)
    return (guided.double() + (eta - 1) * across).to(guided.dtype)


def aligned(cond: Tensor, uncond: Tensor, x: Tensor) -> Tensor:
    """Return Eq. 25: cond's part along g, with g the part of cond - uncond across x; any space will do, since g is across x."""
    difference = cond.double() - uncond.double()
    return part_along(cond, difference - part_along(difference, x))


@dataclass(frozen=True)
class TAG(InWindow):
    """form step: the base's step with its tangential part times eta (Algorithm 1). form cfg: the base plus eta times the part
    of cond along the tangential guiding difference (Eq. 26). The base alone outside the window.
    """

    around_wrappers: ClassVar[bool] = True

    base: Guidance = field(default_factory=CFG)
    form: str = "step"
    eta: float | None = None  # form step: 1.05, the least of Fig. 8 (Table 11 has 1.15 without CFG); form cfg: 1, of Table 12
    window: Window = ALWAYS  # Table 11 is best between timesteps 1000 and 400

    def __post_init__(self) -> None:
        if self.form not in DEFAULTS:
            raise UserError(f"guidance.form = {self.form}", allowed=", ".join(DEFAULTS))
        if self.eta is None:
            object.__setattr__(self, "eta", DEFAULTS[self.form])

    @property
    def needs(self) -> frozenset[Requirement]:
        own = frozenset({Requirement.EULER_LIKE}) if self.form == "step" else frozenset()
        return super().needs | own

    @property
    def reads_x(self) -> bool:
        return True

    @property
    def neutral(self) -> str:
        return f"eta = {self.eta:g}: it is its base" if self.eta == NEUTRAL[self.form] else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        branches = self.base.branches(step)
        if not branches or self.form == "step" or not self.window.active(step):
            return branches
        return (*branches, COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        guided = self.base.combine(preds, step, state)
        assert self.eta is not None
        if not self.window.active(step):
            return guided
        if self.form == "step":
            return amplified(guided, step.x, self.eta)
        return guided + (self.eta * aligned(preds[COND], preds[UNCOND], step.x)).to(guided.dtype)


DEFAULTS = {"step": 1.05, "cfg": 1.0}
NEUTRAL = {"step": 1.0, "cfg": 0.0}

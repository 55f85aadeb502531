"""Rectified-CFG++ (arXiv 2510.07631): guidance taken at the point to which the conditional flow alone leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import BaseMethod, Requirement, State, Step
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, Branch

if TYPE_CHECKING:
    from torch import Tensor

COND_AHEAD, UNCOND_AHEAD = Branch("cond", point=1), Branch("uncond", point=1)


def rectified(cond: Tensor, cond_ahead: Tensor, uncond_ahead: Tensor, weight: float) -> Tensor:
    """Return c(x) + weight (c(x_p) - u(x_p)), velocities, x_p being the predicted point."""
    return cond + weight * (cond_ahead - uncond_ahead)


@dataclass(frozen=True)
class RectifiedCFGPP(BaseMethod):
    """Three evaluations a step, two of them at the predicted point; the official script spends four, one without use.

    form paper: half a step ahead, at the level there. form code: the whole step ahead, but still at the level of x, since the
    script adds a difference of levels (at most 1) to a timestep (up to 1000). It also adds noise of 0.005 to the predicted
    point, which is left out here.
    """

    lam: float = 4.5  # lambda_max; official demo, SD3.5-large. CFG's scale less 1; 0 is no guidance
    gamma: float = 0.0  # the weight is lam (1 - level)^gamma; the official code's is constant
    form: str = "paper"

    def __post_init__(self) -> None:
        if self.form not in ("paper", "code"):
            raise UserError(f"guidance.form = {self.form}", allowed="paper, code")
        if self.gamma < 0:
            raise UserError(f"guidance.gamma = {self.gamma}", allowed="0 (a constant weight) or more")

    @property
    def space(self) -> Space:
        return Space.VELOCITY

    @property
    def needs(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS, Requirement.EULER_LIKE, Requirement.FLOW})

    @property
    def neutral(self) -> str:
        return "lam = 0: it is cond alone" if self.lam == 0 else ""

    def weight(self, level: float) -> float:
        """Return lam (1 - level)^gamma."""
        return self.lam * (1 - level) ** self.gamma

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.lam == 0 else (COND, COND_AHEAD, UNCOND_AHEAD)

    def second(self, preds: Mapping[Branch, Tensor], step: Step) -> tuple[Tensor, float]:
        dt = step.next_level - step.level
        if self.form == "code":
            return step.x + dt * preds[COND], step.level
        return step.x + dt / 2 * preds[COND], step.level + dt / 2

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        if self.lam == 0:
            return preds[COND]
        return rectified(preds[COND], preds[COND_AHEAD], preds[UNCOND_AHEAD], self.weight(step.level))

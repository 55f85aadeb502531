"""CFG-Zero* (arXiv 2503.18886): an optimised scale of the unconditional velocity, and no movement in the first steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, BaseMethod, Requirement, State, Step
from s2g.guidance.cfg import cfg
from s2g.guidance.geometry import inner
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8  # official


def optimised_scale(cond: Tensor, uncond: Tensor) -> Tensor:
    """Return s* = <cond, uncond> / |uncond|^2 per item (Algorithm 1), float64 [B, 1, ...]: s* uncond is nearest to cond."""
    return inner(cond, uncond) / (inner(uncond, uncond) + EPSILON)


def cfg_zero(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """Return s* v_uncond + scale (v_cond - s* v_uncond), on velocities; scaling v_uncond does not change it."""
    return cfg(cond, (optimised_scale(cond, uncond) * uncond).to(cond.dtype), scale)


@dataclass(frozen=True)
class CFGZero(BaseMethod):
    """Two evaluations a step, none in the first `zero_init`: x stands still there, also for a method around it."""

    scale: float = 7.5  # as CFG's; the official SD3 script uses 3.5
    zero_init: int = (
        1  # steps that stand still, about 4 % of them; the official scripts' zero_steps is one less (`i <= zero_steps`)
    )

    def __post_init__(self) -> None:
        if self.zero_init < 0:
            raise UserError(f"guidance.zero_init = {self.zero_init}", allowed="0 or more")

    @property
    def space(self) -> Space:
        return Space.VELOCITY

    @property
    def needs(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS, Requirement.DETERMINISTIC, Requirement.FLOW})

    @property
    def neutral(self) -> str:
        if self.scale != 1:
            return ""
        return f"{AT_ONE}{f' once x moves, after zero_init = {self.zero_init}' if self.zero_init else ''}"

    def acts(self, step: Step) -> bool:
        return step.index >= self.zero_init

    def branches(self, step: Step) -> Sequence[Branch]:
        if not self.acts(step):
            return ()
        return (COND,) if self.scale == 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND] if self.scale == 1 else cfg_zero(preds[COND], preds[UNCOND], self.scale)

"""MAMBO-G (arXiv 2508.03442): a guidance scale that falls where guidance is large beside the prediction it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, BaseMethod, State, Step
from s2g.guidance.geometry import norm
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


def damped_scale(cond: Tensor, uncond: Tensor, scale: float, alpha: float) -> Tensor:
    """Return 1 + (scale - 1) exp(-alpha |cond - uncond| / |uncond|) of each item, float64 [B, 1, ...]; 1 where uncond is 0."""
    length = norm(uncond)
    ratio = (norm(cond - uncond) / length).where(length > 0, float("inf"))
    return 1 + (scale - 1) * (-alpha * ratio).exp()


@dataclass(frozen=True)
class MamboG(BaseMethod):
    """Two evaluations a step, on the raw output. The weight lies between 1 and `scale`, so scale 1 is no guidance."""

    scale: float = 10.0  # diffusers' MagnitudeAwareGuidance, by the source's authors: the most it can be
    alpha: float = 8.0  # the same; 0 would be CFG

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise UserError(f"guidance.alpha = {self.alpha}", allowed="above 0", todo="guidance=cfg is alpha 0")

    @property
    def neutral(self) -> str:
        return AT_ONE if self.scale == 1 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale == 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        cond, uncond = preds[COND], preds[UNCOND if self.scale != 1 else COND]
        if self.scale == 1:
            return cond
        weight = damped_scale(cond, uncond, self.scale, self.alpha)
        return (uncond.double() + weight * (cond.double() - uncond.double())).to(cond.dtype)

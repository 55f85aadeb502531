"""Classifier-free guidance (arXiv 2207.12598), in the form the paper and diffusers use: scale 1 is no guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, BaseMethod, State, Step
from s2g.guidance.geometry import spread
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


def cfg(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """Apply paper Eq. 1: D_uncond + lambda (D_cond - D_uncond); the weights sum to 1, so any space will do."""
    return uncond + scale * (cond - uncond)


def rescaled(guided: Tensor, cond: Tensor, rescale: float) -> Tensor:
    """Apply arXiv 2305.08891 Eq. 15-16: match cond's standard deviation per item, mixed in with weight `rescale`.

    It depends on the space: this is the network's raw output, as in diffusers.
    """
    matched = spread(guided)
    ratio = (spread(cond) / matched).where(matched > 0, 1.0)
    return guided * (rescale * ratio + (1 - rescale)).to(guided.dtype)


@dataclass(frozen=True)
class CFG(BaseMethod):
    """Two evaluations a step; one at scale 1, where uncond has no weight."""

    scale: float = 7.5  # diffusers' guider and the paper's SD3 runs (B.4); models carry presets of their own
    rescale: float = 0.0  # diffusers' default; the source proposes 0.7 for models of its own

    def __post_init__(self) -> None:
        if not 0 <= self.rescale <= 1:
            raise UserError(f"guidance.rescale = {self.rescale}", allowed="0 (none) to 1")

    @property
    def neutral(self) -> str:
        return AT_ONE if self.scale == 1 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale == 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        if self.scale == 1:
            return preds[COND]
        guided = cfg(preds[COND], preds[UNCOND], self.scale)
        return rescaled(guided, preds[COND], self.rescale) if self.rescale else guided

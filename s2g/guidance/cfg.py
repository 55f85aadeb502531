"""Classifier-free guidance (arXiv 2207.12598), in the form the paper and diffusers use: scale 1 is no guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.guidance.base import AnySpace, State, Step
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


def cfg(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """Paper Eq. 1: D_uncond + lambda (D_cond - D_uncond); the weights sum to 1, so any space will do."""
    return uncond + scale * (cond - uncond)


@dataclass(frozen=True)
class CFG(AnySpace):
    """Two evaluations a step; one at scale 1, where uncond has no weight."""

    scale: float = 7.5  # diffusers' guider and the paper's SD3 runs (B.4); models carry presets of their own

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale == 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND] if self.scale == 1 else cfg(preds[COND], preds[UNCOND], self.scale)

"""TCFG, tangential damping (arXiv 2503.18137): uncond keeps only its part along the direction it shares with cond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.guidance.base import AT_ONE, BaseMethod, State, Step
from s2g.guidance.cfg import cfg
from s2g.guidance.geometry import inner
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


def damped(cond: Tensor, uncond: Tensor) -> Tensor:
    """Return uncond's part along v1, the first right singular vector of [cond; uncond] (each item's entries one vector).

    With a = |cond|^2, b = |uncond|^2, c = <cond, uncond> and d = hypot(a - b, 2 c), it is
    (c cond + (d - a + b) / 2 uncond) / d: the eigenvectors of a 2 x 2 matrix, float64. Where d is 0 no direction is first,
    and uncond stays as it is (ours).
    """
    a, b, c = inner(cond, cond), inner(uncond, uncond), inner(cond, uncond)
    d = (a - b).hypot(2 * c)
    of_cond, of_uncond = ((part / d).where(d > 0, other) for part, other in ((c, 0.0), ((d - a + b) / 2, 1.0)))
    return (of_cond * cond.double() + of_uncond * uncond.double()).to(cond.dtype)


def tcfg(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """Return u' + scale (cond - u') with u' the damped uncond."""
    return cfg(cond, damped(cond, uncond), scale)


@dataclass(frozen=True)
class TCFG(BaseMethod):
    """Two evaluations a step, on the raw output as diffusers' guider; ComfyUI's node takes x - data instead."""

    scale: float = 7.0  # the source's SD3 runs (secondary); plays the part of a CFG scale

    @property
    def neutral(self) -> str:
        return AT_ONE if self.scale == 1 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale == 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND] if self.scale == 1 else tcfg(preds[COND], preds[UNCOND], self.scale)

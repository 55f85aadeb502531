"""Angle-domain guidance (arXiv 2506.11039): rotate the denoised prediction away from uncond's instead of stretching it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import BaseMethod, State, Step
from s2g.guidance.geometry import inner, norm, part_along
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 1e-3  # of the sine below which turning is a straight move: the official code's


def adg(cond: Tensor, uncond: Tensor, scale: float, cap: float) -> Tensor:
    """Return cos(t') cond + sin(t') / sin(t) p: t the angle between the two, t' = min((scale - 1) t, cap) radians, p the part
    of cond orthogonal to uncond. All of each item's entries are one vector; on denoised predictions.

    The official code adds 1e-3 to scale - 1 and cuts pi off at 3.14; this does not.
    """
    import torch  # planning needs the knobs, not the arithmetic

    more = max(scale - 1, 0.0)
    across = cond.double() - part_along(cond, uncond)
    length = norm(uncond)
    along = (inner(cond, uncond) / length).where(length > 0, 0.0)
    angle = torch.atan2(norm(across), along)  # exact where arccos of a rounded cosine is not
    cond_norm = norm(cond)
    sine = (norm(across) / cond_norm).where(cond_norm > 0, 0.0)
    turn = (more * angle).clamp(max=cap)
    sideways = (turn.sin() / sine.clamp(min=SMALL)).where(sine > SMALL, more)
    return (turn.cos() * cond.double() + sideways * across).to(cond.dtype)


@dataclass(frozen=True)
class ADG(BaseMethod):
    """Two evaluations a step; one at scale 1 and below, which is no guidance."""

    scale: float = 4.0  # the source's SD3.5-large runs; plays the part of a CFG scale
    cap: float = 60.0  # degrees, the source's

    def __post_init__(self) -> None:
        if not 0 < self.cap <= 90:
            raise UserError(f"guidance.cap = {self.cap} degrees", allowed="above 0, at most 90")

    @property
    def space(self) -> Space:
        return Space.DENOISED

    @property
    def neutral(self) -> str:
        return f"scale = {self.scale:g}: 1 or less is cond alone" if self.scale <= 1 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale <= 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND] if self.scale <= 1 else adg(preds[COND], preds[UNCOND], self.scale, math.radians(self.cap))

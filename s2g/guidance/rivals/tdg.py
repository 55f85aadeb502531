"""TDG of GA-Eval (arXiv 2602.22570): a negative control, built to win preference scores by strength alone.

A method that does not beat it at its own strength has shown nothing that a larger CFG scale does not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, Ability, BaseMethod, State, Step
from s2g.guidance.geometry import norm
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor

MID = Branch("mid")


def tdg(cond: Tensor, uncond: Tensor, mid: Tensor, scale: float, balance: float) -> Tensor:
    """Return (m + u) / 2 + scale (a (c - m) + balance (c - u)) / (balance + 1), a = |c - u| / |c - m| of each item (0 where
    cond is mid): the official pipelines' forward_v3, which takes one a for the whole batch.

    Its weights sum to 1, so any space will do. Where mid is the mean of cond and uncond it is CFG at scale + 1/4.
    """
    c, u, m = (prediction.double() for prediction in (cond, uncond, mid))
    apart = norm(c - m)
    a = (norm(c - u) / apart).where(apart > 0, 0.0)
    return ((m + u) / 2 + scale / (balance + 1) * (a * (c - m) + balance * (c - u))).to(cond.dtype)


@dataclass(frozen=True)
class TDG(BaseMethod):
    """Three evaluations a step; two with mid mean.

    mid tokens: every second token of the text is uncond's (the source: a random half, replaced before the text is encoded).
    mid mean: the mean of the two predictions, for models that read no text (ours; the source has none for them).
    """

    scale: float = 5.5  # official, as CFG's; it is multiplied by the factor
    factor: float = 1.6  # official, SD3.5; 1.8 for SDXL
    balance: float = 2.4  # official, SD3.5; 2.6 for SDXL
    mid: str = "tokens"

    def __post_init__(self) -> None:
        if self.mid not in ("tokens", "mean"):
            raise UserError(f"guidance.mid = {self.mid}", allowed="tokens, mean")
        if self.balance < 0:
            raise UserError(f"guidance.balance = {self.balance}", allowed="0 or more")

    @property
    def asks(self) -> frozenset[Ability]:
        return frozenset({Ability.TEXT}) if self.mid == "tokens" else frozenset()

    @property
    def neutral(self) -> str:
        return AT_ONE if self.scale == 1 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        if self.scale == 1:
            return (COND,)
        return (COND, UNCOND, MID) if self.mid == "tokens" else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        cond = preds[COND]
        if self.scale == 1:
            return cond
        uncond = preds[UNCOND]
        mid = preds[MID] if self.mid == "tokens" else (cond + uncond) / 2
        return tdg(cond, uncond, mid, self.scale * self.factor, self.balance)

"""Guidance on the first channels only: what SiT's and DiT's published numbers use (3 of 4 latent channels)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from s2g.guidance.base import Guidance, State, Step, Wrapper
from s2g.network.branch import COND, Branch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Channels(Wrapper):
    """`inner` sees and guides the first `count` channels; the others keep the conditional prediction.

    Methods that measure norms or angles measure them on the guided channels (ours: no source defines it).
    """

    inner: Guidance
    count: int

    @property
    def inside(self) -> Guidance:
        return self.inner

    @property
    def neutral(self) -> str:
        return self.inner.neutral

    @property
    def channels(self) -> int | None:
        return self.count

    def branches(self, step: Step) -> Sequence[Branch]:
        branches = self.inner.branches(step)
        return branches if not branches or COND in branches else (COND, *branches)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        guided = {branch: prediction[:, : self.count] for branch, prediction in preds.items()}
        inside = self.inner.combine(guided, replace(step, x=step.x[:, : self.count]), state)
        result = preds[COND].clone()
        result[:, : self.count] = inside
        return result

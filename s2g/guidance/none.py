"""No guidance: the conditional prediction alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from s2g.guidance.base import Need, State, Step
from s2g.models.convention import Space
from s2g.network.branch import COND, Branch


@dataclass(frozen=True)
class NoGuidance:
    """D_cond."""

    @property
    def space(self) -> Space:
        return Space.RAW

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset()

    def start(self) -> State:
        return {}

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND]

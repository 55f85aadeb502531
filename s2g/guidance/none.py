"""No guidance: the conditional prediction alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.guidance.base import BaseMethod, State, Step
from s2g.network.branch import COND, Branch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NoGuidance(BaseMethod):
    """D_cond."""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND]

"""A guidance method with a memory, for tests of the engine: CFG whose direction is averaged over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from s2g.guidance.base import BaseMethod, State, Step
from s2g.network.branch import COND, UNCOND, Branch


@dataclass(frozen=True)
class Momentum(BaseMethod):
    """cond + (scale - 1) m, m = decay m + (1 - decay) (cond - uncond)."""

    scale: float = 3.0
    decay: float = 0.7

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        direction = preds[COND] - preds[UNCOND]
        state["m"] = self.decay * state.get("m", direction) + (1 - self.decay) * direction
        return preds[COND] + (self.scale - 1) * state["m"]

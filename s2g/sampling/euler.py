"""Euler's method on the flow: one evaluation a step, first order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.guidance.base import Requirement
from s2g.sampling.base import Predict, State, StepEnds
from s2g.sampling.levels import FlowGrid

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Euler(FlowGrid):
    """x' = x + (s' - s) v."""

    steps: int = 28  # SD3's number (diffusers' StableDiffusion3Pipeline); models carry their own

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset(Requirement)

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        guided = predict(x, ends.level)
        return x if guided is None else x + (ends.next_level - ends.level) * guided.velocity

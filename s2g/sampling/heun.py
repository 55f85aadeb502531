"""Heun's method on the flow: two evaluations a step, second order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.guidance.base import Requirement
from s2g.models.prediction_space import Space
from s2g.sampling.base import Predict, State, StepEnds
from s2g.sampling.levels import FlowGrid

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Heun(FlowGrid):
    """The mean of the velocities at both ends of an Euler step; both see the same masks."""

    steps: int = 14  # as many evaluations as Euler's 28 (ours)

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS, Requirement.DETERMINISTIC, Requirement.FLOW})

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        guided = predict(x, ends.level)
        if guided is None:
            return x
        first, move = guided.velocity, ends.next_level - ends.level
        euler = x + move * first
        # At level 0 a denoised estimate gives no velocity: the last step of such methods is Euler's.
        if ends.next_level == 0 and predict.space is Space.DENOISED:
            return euler
        guided = predict(euler, ends.next_level, stage=1)
        return x if guided is None else x + move * (first + guided.velocity) / 2

"""SiT's reverse SDE (arXiv 2401.08740, Sec. 2.2), by Euler and Maruyama: a flow with fresh noise at each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Requirement
from s2g.sampling.base import Predict, State, StepEnds
from s2g.sampling.levels import FlowGrid, flow_levels

if TYPE_CHECKING:
    from torch import Tensor


def drift(velocity: Tensor, noise: Tensor) -> Tensor:
    """Return dx per falling level, -v + D score. With D(s) = s and score = -noise / s this is -(v + noise)."""
    return -(velocity + noise)


@dataclass(frozen=True)
class SDE(FlowGrid):
    """x' = x + dt (-v + D score) + sqrt(2 D dt) z with D(s) = s, SiT's diffusion form "sigma" with norm 1, for flow models.

    steps - 1 even steps of level lead from 1 to `last_step`; the last goes to 0 by the same drift without noise, SiT's
    "Mean". One evaluation a step gives the velocity and the score (SiT's repository evaluates twice at the same point).
    """

    steps: int = 250  # SiT's sample_ddp.py, which counts as here: evaluated points, the last step's included
    last_step: float = 0.04  # level of the last step, before the shift; SiT's --last-step-size

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 2:
            raise UserError(f"sampler.steps = {self.steps}: the last step is a step of its own", allowed="2 or more")
        if not 0 < self.last_step < 1:
            raise UserError(f"sampler.last_step = {self.last_step}", allowed="between 0 and 1")

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS})

    def levels(self) -> tuple[float, ...]:
        return (*flow_levels(self.steps - 1, self.shift, self.last_step), 0.0)

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        guided = predict(x, ends.level)
        if guided is None:
            return x
        dt = ends.level - ends.next_level
        mean = x + dt * drift(guided.velocity, guided.noise)
        return mean if ends.next_level == 0 else mean + math.sqrt(2 * ends.level * dt) * noise()

"""DDIM (arXiv 2010.02502): from the estimates of data and noise to the next level, with as much fresh noise as asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Requirement
from s2g.sampling.base import Predict, State, StepEnds
from s2g.sampling.levels import AnyGrid, strided_timesteps
from s2g.sampling.vp import alpha_bar, predict_at

if TYPE_CHECKING:
    from torch import Tensor


def fresh(bar: float, next_bar: float, eta: float) -> float:
    """Compute Eq. 16, the fresh noise's standard deviation eta sqrt((1 - a') / (1 - a)) sqrt(1 - a / a'), alpha_bar a to a'."""
    return eta * math.sqrt((1 - next_bar) / (1 - bar)) * math.sqrt(1 - bar / next_bar)


@dataclass(frozen=True)
class DDIM(AnyGrid):
    """Eq. 12: x' = alpha' data + sqrt(sigma'^2 - c^2) noise + c z. eta 0 is deterministic, and on a flow Euler's step.

    A flow is stepped as the variance-preserving y = x / sqrt(alpha^2 + sigma^2): c is `fresh` times the next such length.
    """

    steps: int = 50  # DiTPipeline's; with CFG 4.0 there
    eta: float = 0.0  # the paper's default; 1 is DDPM with the small variance

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.eta <= 1:
            raise UserError(f"sampler.eta = {self.eta}", allowed="0 (no fresh noise) to 1 (DDPM's)")

    @property
    def offers(self) -> frozenset[Requirement]:
        return (
            frozenset({Requirement.STEPS})
            if self.eta
            else frozenset({Requirement.STEPS, Requirement.EULER_LIKE, Requirement.DETERMINISTIC})
        )

    def respaced(self) -> tuple[int, ...]:
        return strided_timesteps(self.steps)

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        guided = predict_at(predict, x, ends.level, self.timestep(ends.index))
        if guided is None:
            return x
        (alpha, sigma), (bar, _) = guided.convention.coefficients(ends.next_level), alpha_bar(guided.convention, ends.level)
        next_bar, length = alpha_bar(guided.convention, ends.next_level)
        added = length * fresh(bar, next_bar, self.eta)
        if added == 0:  # eta 0, and every last step
            return alpha * guided.data + sigma * guided.noise
        kept = math.sqrt(max(sigma**2 - added**2, 0.0))  # rounding may leave it below 0 where all noise is fresh
        return alpha * guided.data + kept * guided.noise + added * noise()

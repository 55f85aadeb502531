"""DDPM (arXiv 2006.11239): ancestral steps through the posterior, with fixed or learned variance (arXiv 2102.09672)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Requirement
from s2g.sampling.base import Guided, Predict, State, StepEnds
from s2g.sampling.levels import AnyGrid, spread_timesteps
from s2g.sampling.vp import alpha_bar, predict_at

if TYPE_CHECKING:
    from torch import Tensor

VARIANCES = ("learned", "small", "large")


@dataclass(frozen=True)
class Posterior:
    """q(y' | y, data) of Eq. 7, from alpha_bar a to a' > a: mean = data_weight data + y_weight y, variance between bounds."""

    data_weight: float
    y_weight: float
    small: float  # the posterior's own variance, right where the data is one point
    large: float  # beta, right where the data is standard normal

    @staticmethod
    def between(bar: float, next_bar: float) -> Posterior:
        """Compute the respaced posterior as ADM does: beta = 1 - a / a'."""
        beta = 1 - bar / next_bar
        data_weight = math.sqrt(next_bar) * beta / (1 - bar)
        y_weight = math.sqrt(bar / next_bar) * (1 - next_bar) / (1 - bar)
        return Posterior(data_weight, y_weight, beta * (1 - next_bar) / (1 - bar), beta)


def learned_deviation(v: Tensor, small: float, large: float) -> Tensor:
    """Return sqrt(exp(f log beta + (1 - f) log posterior)), f = (v + 1) / 2: arXiv 2102.09672 Eq. 15, as DiT (LEARNED_RANGE).

    The source clips the posterior's log at the last step, where it is log 0; no noise is added there, so this is not called.
    """
    share = (v + 1) / 2
    return (0.5 * (share * math.log(large) + (1 - share) * math.log(small))).exp()


@dataclass(frozen=True)
class DDPM(AnyGrid):
    """Each step draws from the posterior with the estimate in the data's place; the last takes its mean, the estimate.

    A flow is stepped as the variance-preserving y = x / sqrt(alpha^2 + sigma^2).
    """

    steps: int = 250  # DiT's sample_ddp.py
    variance: str | None = None  # learned | small | large; null: learned where the model has one (DiT), else small

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variance not in (*VARIANCES, None):
            raise UserError(f"sampler.variance = {self.variance}", allowed=", ".join(VARIANCES))

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS})

    def respaced(self) -> tuple[int, ...]:
        return spread_timesteps(self.steps)

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        guided = predict_at(predict, x, ends.level, self.timestep(ends.index))
        if guided is None:
            return x
        (bar, length), (next_bar, next_length) = (
            alpha_bar(guided.convention, level) for level in (ends.level, ends.next_level)
        )
        posterior = Posterior.between(bar, next_bar)
        deviation = self._deviation(guided, posterior, last=ends.next_level == 0)
        mean = posterior.data_weight * guided.data + (posterior.y_weight / length) * x
        return next_length * (mean if deviation is None else mean + deviation * noise())

    def _deviation(self, guided: Guided, posterior: Posterior, last: bool) -> Tensor | float | None:
        """Return the fresh noise's standard deviation; None at the last step, which has none."""
        if self.variance == "learned" and guided.variance is None:
            raise UserError(
                "sampler.variance = learned: this model predicts no variance",
                allowed="small, large",
                todo="sampler.variance=small",
            )
        if last:
            return None
        if self.variance in (None, "learned") and guided.variance is not None:
            return learned_deviation(guided.variance, posterior.small, posterior.large)
        return math.sqrt(posterior.large if self.variance == "large" else posterior.small)

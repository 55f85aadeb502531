"""Steps and noise levels of a run, read once from its scheduler; what that scheduler offers a method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from s2g.errors import UserError
from s2g.guidance.base import Guidance, Requirement
from s2g.models.convention import VP, Convention, Flow
from s2g.models.prediction_space import Space
from s2g.sampling.base import WITHOUT

EULER = {"FlowMatchEulerDiscreteScheduler", "DDIMScheduler"}  # a step from one prediction, without fresh noise


@dataclass(frozen=True)
class Schedule:
    """levels: one more than there are steps, falling to 0; convention: None where denoised estimates are not known."""

    levels: tuple[float, ...]
    convention: Convention | None
    offers: frozenset[Requirement]

    @property
    def steps(self) -> int:
        return len(self.levels) - 1


def read_schedule(scheduler: Any, steps: int, sign: int) -> Schedule:
    """Return the schedule of the next `steps` steps; sign: -1 where the network's output is data - noise.

    UserError for a scheduler with several evaluations a step or of unknown noise levels. It waits for the device once.
    """
    name = type(scheduler).__name__
    if getattr(scheduler, "order", 1) != 1:
        raise UserError(
            f"scheduler {name}: its steps have {scheduler.order} evaluations, and a mask is drawn for each step",
            todo="take one of order 1, such as FlowMatchEulerDiscreteScheduler",
        )
    settings = scheduler.config
    prediction = settings.get("prediction_type", "flow_prediction" if name.startswith("FlowMatch") else "epsilon")
    flow = prediction == "flow_prediction"
    begin = getattr(scheduler, "begin_index", None) or 0
    if flow or not hasattr(scheduler, "alphas_cumprod"):
        if not hasattr(scheduler, "sigmas"):
            raise UserError(f"scheduler {name}: its noise levels are not known", allowed="one with sigmas or alphas_cumprod")
        sigmas = [float(value) for value in scheduler.sigmas.tolist()]
        if settings.get("invert_sigmas"):
            sigmas = [1 - value for value in sigmas]
        levels = sigmas[begin : begin + steps + 1]
        if not flow:
            levels = [sigma / (1 + sigma) for sigma in levels]  # sigma / alpha of a variance-preserving x
    else:
        timesteps = [int(t) for t in scheduler.timesteps.tolist()]
        bars = scheduler.alphas_cumprod.tolist()
        levels = [_level(bars[t]) for t in timesteps[len(timesteps) - steps :]] + [0.0]
    if len(levels) != steps + 1:
        raise UserError(f"scheduler {name}: {steps} steps, and {len(levels)} noise levels")
    convention: Convention | None = None
    if flow:
        convention = Flow() if sign == 1 else _Turned()
    elif prediction == "epsilon":
        convention = VP()
    return Schedule(tuple(levels), convention, _offers(name, settings, flow))


def _level(bar: float) -> float:
    alpha, sigma = math.sqrt(bar), math.sqrt(1 - bar)
    return sigma / (alpha + sigma)


def _offers(name: str, settings: Any, flow: bool) -> frozenset[Requirement]:
    noisy = bool(settings.get("stochastic_sampling")) or "sde" in str(settings.get("algorithm_type", ""))
    noisy |= name in ("DDPMScheduler", "EulerAncestralDiscreteScheduler")
    offers = {Requirement.STEPS}
    if not noisy:
        offers |= {Requirement.DETERMINISTIC} | ({Requirement.FLOW} if flow else set())
        offers |= {Requirement.EULER_LIKE} if name in EULER else set()
    return frozenset(offers)


def check_fits(method: Guidance, schedule: Schedule, scheduler: Any) -> None:
    """Raise UserError for a method that the scheduler has no footing for."""
    name = type(scheduler).__name__
    for requirement in sorted(method.needs - schedule.offers, key=lambda r: r.value):
        raise UserError(
            f"{type(method).__name__} needs {requirement.value}, and {name} has none: {WITHOUT[requirement]}",
            todo="pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(pipe.scheduler.config)",
        )
    if schedule.convention is None and method.space is not Space.RAW:
        raise UserError(
            f"{type(method).__name__} works on {method.space.name.lower()} predictions, and how they follow from the output "
            f"under {name} (prediction_type {scheduler.config.get('prediction_type')}) is not known"
        )


class _Turned(Flow):
    """A flow whose network puts out data - noise."""

    def to(self, space: Space, raw: Any, x: Any, level: float) -> Any:
        return raw if space is Space.RAW else super().to(space, -raw, x, level)

    def back(self, space: Space, value: Any, x: Any, level: float) -> Any:
        return value if space is Space.RAW else -super().back(space, value, x, level)

    def noise(self, raw: Any, x: Any, level: float) -> Any:
        return super().noise(-raw, x, level)

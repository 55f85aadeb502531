"""diffusers' flow schedulers as samplers: the stock object does every step, a fresh one per unit.

Bit-equal to driving the scheduler by hand with the guided velocity. Where a method asks for no movement the scheduler is
given zero velocity: exact for Euler; UniPC and DPM++ keep a trace of it in their history, as in CFG-Zero*'s official script.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2g.guidance.base import Requirement
from s2g.sampling.base import Predict, State, StepEnds
from s2g.sampling.levels import check_grid

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Scheduled:
    """What the adapters share: levels are the scheduler's sigmas (float32), and the network is told its timestep."""

    steps: int
    shift: float = 1.0

    def __post_init__(self) -> None:
        check_grid(self.steps, self.shift)

    def scheduler(self) -> Any:
        """Return the stock scheduler as its pipeline configures it."""
        raise NotImplementedError

    def set_timesteps(self, scheduler: Any) -> None:
        """Give the scheduler its grid as the pipeline does."""
        scheduler.set_timesteps(self.steps)

    def ready(self) -> Any:
        """Return a fresh scheduler at its first step."""
        scheduler = self.scheduler()
        self.set_timesteps(scheduler)
        # As the Flux and Wan pipelines do: found by its timestep, the first step would be the second where floors coincide.
        scheduler.set_begin_index(0)
        return scheduler

    def levels(self) -> tuple[float, ...]:
        return tuple(self.ready().sigmas.tolist())

    def start(self) -> State:
        return {"scheduler": self.ready()}

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        scheduler = state["scheduler"]
        if scheduler.timesteps.device != x.device:  # all of them once, without waiting for the device
            scheduler.timesteps = scheduler.timesteps.to(x.device, non_blocking=True)
        timestep = scheduler.timesteps[ends.index]
        guided = predict(x, ends.level, timestep=timestep)
        velocity = x.new_zeros(x.shape) if guided is None else guided.velocity
        return self.moved(scheduler, velocity, timestep, x)

    def moved(self, scheduler: Any, velocity: Tensor, timestep: Tensor, x: Tensor) -> Tensor:
        """Return x [B, ...] after the scheduler's step along the velocity."""
        return scheduler.step(velocity, timestep, x, return_dict=False)[0]


@dataclass(frozen=True)
class FlowMatchEuler(Scheduled):
    """FlowMatchEulerDiscreteScheduler, SD3's: Euler on its grid, which goes evenly from 1 to 0.001 before the shift, then to 0.

    The stock scheduler applies the shift to a grid whose ends are shifted already; with shift 1 nothing of it remains.
    """

    steps: int = 28  # StableDiffusion3Pipeline's

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset(Requirement)

    def scheduler(self) -> Any:
        from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

        return FlowMatchEulerDiscreteScheduler(shift=self.shift)


@dataclass(frozen=True)
class FluxEuler(FlowMatchEuler):
    """The same scheduler as FluxPipeline drives it: its grid goes evenly from 1 to 1 / steps before the shift, then to 0."""

    def scheduler(self) -> Any:
        from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

        return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)

    def set_timesteps(self, scheduler: Any) -> None:
        import numpy as np

        even = np.linspace(1.0, 1 / self.steps, self.steps)
        scheduler.set_timesteps(sigmas=even, mu=math.log(self.shift))  # it shifts by e^mu


@dataclass(frozen=True)
class UniPC(Scheduled):
    """UniPCMultistepScheduler of order 2 (arXiv 2302.04867), as in Wan2.1's pipeline: one evaluation a step."""

    steps: int = 50  # Wan2.1's

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS, Requirement.DETERMINISTIC, Requirement.FLOW})

    def scheduler(self) -> Any:
        from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        return UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=self.shift, solver_order=2
        )

    def moved(self, scheduler: Any, velocity: Tensor, timestep: Tensor, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            return super().moved(scheduler, velocity, timestep, x)
        from s2g.sampling.unchecked_solve import Unchecked

        # It sends the levels it needs to the device one by one at every step, and waits for each.
        scheduler.sigmas = scheduler.sigmas.to(x.device, non_blocking=True)
        with Unchecked():
            return super().moved(scheduler, velocity, timestep, x)


@dataclass(frozen=True)
class DPMpp(Scheduled):
    """DPMSolverMultistepScheduler, DPM-Solver++(2M) (arXiv 2211.01095): one evaluation a step; its grid begins at 0.999."""

    steps: int = 50  # sd3.5 repository, SD3-medium

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS, Requirement.DETERMINISTIC, Requirement.FLOW})

    def scheduler(self) -> Any:
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

        return DPMSolverMultistepScheduler(
            algorithm_type="dpmsolver++", prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=self.shift
        )

"""What a sampler is, and what it may ask for during a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from s2g.guidance.base import Requirement
from s2g.models.convention import VP, Convention
from s2g.models.prediction_space import Space

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, Any]  # a solver's memory during one unit

# Why a method that needs it cannot be run with a sampler that lacks it.
WITHOUT: Mapping[Requirement, str] = {
    Requirement.STEPS: "an adaptive solver has no step index, and fresh masks at each evaluation would make its"
    " error control see noise",
    Requirement.EULER_LIKE: "its formula is for a step from one prediction without fresh noise, and this sampler weighs several"
    " predictions or adds noise",
    Requirement.DETERMINISTIC: "this sampler adds fresh noise, so that a step cannot stand still",
    Requirement.FLOW: "this sampler moves x through its estimates of data and noise, not along a velocity that can be scaled"
    " or zero",
}


@dataclass(frozen=True)
class StepEnds:
    """The two ends of a step: which of how many, and its noise levels."""

    index: int
    count: int
    level: float
    next_level: float


@dataclass(frozen=True)
class Guided:
    """A guided raw prediction at one point, and cond's variance where the model has one; all [B, ...]."""

    raw: Tensor
    x: Tensor
    level: float
    convention: Convention
    variance: Tensor | None = None

    @property
    def velocity(self) -> Tensor:
        """noise - data, along which a flow's x moves; ValueError for a variance-preserving model, whose x does not."""
        if isinstance(self.convention, VP):
            raise ValueError("a variance-preserving model does not move along noise - data: sampler=ddim or sampler=ddpm")
        return self.convention.to(Space.VELOCITY, self.raw, self.x, self.level)

    @property
    def data(self) -> Tensor:
        """The estimate of the data."""
        return self.convention.to(Space.DENOISED, self.raw, self.x, self.level)

    @property
    def noise(self) -> Tensor:
        """The estimate of the noise."""
        return self.convention.noise(self.raw, self.x, self.level)


class Predict(Protocol):
    """predict(x, level, stage, timestep) evaluates the guided network; None means this step is no movement."""

    @property
    def space(self) -> Space:
        """Where the guidance method combines."""
        ...

    def __call__(self, x: Tensor, level: float, stage: int = 0, timestep: Tensor | None = None) -> Guided | None: ...


class Sampler(Protocol):
    """A solver of the reverse process: frozen knobs with defaults, checked when made, and these."""

    @property
    def steps(self) -> int:
        """How many steps a trajectory has."""
        ...

    @property
    def offers(self) -> frozenset[Requirement]:
        """What guidance methods may rely on."""
        ...

    def levels(self) -> tuple[float, ...]:
        """Return falling noise levels, the first at or near 1, the last 0; one more than there are steps."""
        ...

    def start(self) -> State:
        """Return a fresh memory, one per unit."""
        ...

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        """Move x [B, ...] from ends.level to ends.next_level; `noise()` is this step's fresh noise, for stochastic ones."""
        ...

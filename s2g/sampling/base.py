"""What a sampler is, and what it may ask for during a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from s2g.guidance.base import Need
from s2g.models.convention import Convention
from s2g.space import Space

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, Any]  # a solver's memory during one unit


@dataclass(frozen=True)
class StepEnds:
    """The two ends of a step: which of how many, and its noise levels."""

    index: int
    count: int
    level: float
    next_level: float


@dataclass(frozen=True)
class Guided:
    """A guided raw prediction at one point, and cond's variance where the model has one."""

    raw: Tensor
    x: Tensor
    level: float
    convention: Convention
    variance: Tensor | None = None

    @property
    def velocity(self) -> Tensor:
        """noise - data."""
        return self.convention.to(Space.VELOCITY, self.raw, self.x, self.level)


class Predict(Protocol):
    """predict(x, level, stage) evaluates the guided network; None means this step is no movement."""

    @property
    def space(self) -> Space:
        """Where the guidance method combines."""
        ...

    def __call__(self, x: Tensor, level: float, stage: int = 0, timestep: Tensor | None = None) -> Guided | None: ...


class Sampler(Protocol):
    """A solver of the reverse process."""

    @property
    def steps(self) -> int:
        """How many steps a trajectory has."""
        ...

    @property
    def shift(self) -> float:
        """How far the noise levels are shifted towards noise."""
        ...

    @property
    def offers(self) -> frozenset[Need]:
        """What guidance methods may rely on."""
        ...

    def levels(self) -> tuple[float, ...]:
        """Noise levels from 1 to 0, one more than there are steps."""
        ...

    def start(self) -> State:
        """A fresh memory, one per unit."""
        ...

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        """x [B, ...] at ends.level to x at ends.next_level; `noise()` is this step's fresh noise, for stochastic ones."""
        ...

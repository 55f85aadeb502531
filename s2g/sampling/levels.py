"""Noise levels of a trajectory, falling to 0: a flow's grid, and the linear schedule of variance-preserving models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from operator import mul

from s2g.config.coerce import at_least
from s2g.errors import UserError

TIMESTEPS, FIRST_BETA, LAST_BETA = 1000, 1e-4, 0.02  # DDPM's linear schedule (arXiv 2006.11239), ADM's and DiT's
GRIDS = ("flow", "linear")


def flow_levels(steps: int, shift: float = 1.0, last: float = 0.0) -> tuple[float, ...]:
    """Return steps + 1 even levels from 1 to `last`, then shifted: s -> shift s / (1 + (shift - 1) s) (arXiv 2403.03206)."""
    even = (1 - i / steps * (1 - last) for i in range(steps + 1))
    return tuple(shift * s / (1 + (shift - 1) * s) for s in even)


def shift_of_tokens(tokens: int) -> float:
    """Return Flux's shift for a number of tokens: e^mu, mu linear from 0.5 at 256 to 1.15 at 4096 (diffusers' pipeline)."""
    rise = (1.15 - 0.5) / (4096 - 256)
    return math.exp(tokens * rise + 0.5 - rise * 256)


def shift_of_side(side: int) -> float:
    """Return Wan's shift by the shorter side in pixels: 3 for 480p, 5 for 720p (diffusers' recipe; in between 3, ours)."""
    return 5.0 if side >= 720 else 3.0


@cache
def linear_alpha_bars() -> tuple[float, ...]:
    """Return alpha_bar_t = prod (1 - beta_i) of the 1000 timesteps, beta evenly from 1e-4 to 0.02."""
    rise = (LAST_BETA - FIRST_BETA) / (TIMESTEPS - 1)
    return tuple(accumulate((1 - FIRST_BETA - i * rise for i in range(TIMESTEPS)), mul))


def level_of(alpha_bar: float) -> float:
    """Return the level sigma / (alpha + sigma) at alpha^2 = alpha_bar, sigma^2 = 1 - alpha_bar."""
    alpha, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    return sigma / (alpha + sigma)


def spread_timesteps(steps: int) -> tuple[int, ...]:
    """Return `steps` timesteps from 999 to 0, evenly spread and rounded: ADM's and DiT's respacing (DiT respace.py)."""
    stride = (TIMESTEPS - 1) / (steps - 1)
    # Added up, as the source does: i * stride rounds otherwise at a few ties.
    return tuple(round(t) for t in accumulate([0.0] + [stride] * (steps - 1)))[::-1]


def strided_timesteps(steps: int) -> tuple[int, ...]:
    """Return `steps` timesteps down to 0, floor(1000 / steps) apart (arXiv 2010.02502 D.2; diffusers' "leading")."""
    return tuple(i * (TIMESTEPS // steps) for i in range(steps))[::-1]


def check_grid(steps: int, shift: float) -> None:
    """Raise UserError for a number of steps or a shift that gives no levels."""
    at_least(steps, 1, "sampler.steps")
    if shift <= 0:
        raise UserError(f"sampler.shift = {shift}", allowed="more than 0")


@dataclass(frozen=True)
class FlowGrid:
    """What fixed-step solvers of the flow share: their levels, and no memory."""

    steps: int
    shift: float = 1.0

    def __post_init__(self) -> None:
        check_grid(self.steps, self.shift)

    def levels(self) -> tuple[float, ...]:
        return flow_levels(self.steps, self.shift)

    def start(self) -> dict[str, object]:
        return {}


@dataclass(frozen=True)
class AnyGrid(FlowGrid):
    """What solvers share that work in alpha and sigma: a flow's levels, or those of the linear schedule.

    On the linear schedule a trajectory begins below 1, where the schedule does, and the network is told the integer timestep.
    """

    grid: str = "flow"  # flow | linear; the model's own, since its network knows no other

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grid not in GRIDS:
            raise UserError(f"sampler.grid = {self.grid}", allowed=", ".join(GRIDS))
        if self.grid == "linear" and not 2 <= self.steps <= TIMESTEPS:
            raise UserError(f"sampler.steps = {self.steps} on the linear schedule", allowed=f"2 to {TIMESTEPS}")
        if self.grid == "linear" and self.shift != 1:
            raise UserError(f"sampler.shift = {self.shift}: the linear schedule is not shifted", allowed="1")

    def respaced(self) -> tuple[int, ...]:
        """Return the falling timesteps of the linear schedule that are visited."""
        raise NotImplementedError

    def levels(self) -> tuple[float, ...]:
        if self.grid == "flow":
            return super().levels()
        bars = linear_alpha_bars()
        return (*(level_of(bars[t]) for t in self.respaced()), 0.0)

    def timestep(self, index: int) -> int | None:
        """Return the timestep the network is given at step `index`; None where it is given the level."""
        return self.respaced()[index] if self.grid == "linear" else None

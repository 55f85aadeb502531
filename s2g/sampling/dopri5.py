"""Dormand and Prince's adaptive solver of order 5, through torchdiffeq: the SiT repository's default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Requirement
from s2g.models.prediction_space import Space
from s2g.sampling.base import Predict, State, StepEnds

if TYPE_CHECKING:
    from torch import Tensor

NEARLY_DATA = 1e-3  # ours: where methods that combine denoised estimates leave the solver for one Euler step


@dataclass(frozen=True)
class Dopri5:
    """dx/ds = v from level 1 to 0 as one step of the loop, evaluated as often as the tolerances ask, for flow models.

    The error is measured over the unit as a whole: its items share their step sizes, so what else is in the unit changes
    an item's last digits. No evaluation lies outside the levels: the solver lands on the end, where SiT's lets it step
    beyond and interpolates back. A denoised estimate gives no velocity at level 0, hence the Euler step that ends those.
    """

    atol: float = 1e-6  # SiT's train_utils.py
    rtol: float = 1e-3  # SiT's train_utils.py

    def __post_init__(self) -> None:
        for name in ("atol", "rtol"):
            if getattr(self, name) <= 0:
                raise UserError(f"sampler.{name} = {getattr(self, name)}", allowed="more than 0")

    @property
    def steps(self) -> int:
        return 1

    @property
    def offers(self) -> frozenset[Requirement]:
        return frozenset({Requirement.DETERMINISTIC, Requirement.FLOW})

    def levels(self) -> tuple[float, ...]:
        return 1.0, 0.0

    def start(self) -> State:
        return {}

    def step(self, x: Tensor, ends: StepEnds, predict: Predict, noise: Callable[[], Tensor], state: State) -> Tensor:
        import torch
        from torchdiffeq import odeint

        end = NEARLY_DATA if predict.space is Space.DENOISED else ends.next_level

        def velocity(level: Tensor, at: Tensor) -> Tensor:
            # The first guess of a step size may reach further than the end; float32 time may miss it by a rounding.
            guided = predict(at, min(max(float(level), end), ends.level))
            return torch.zeros_like(at) if guided is None else guided.velocity

        times = torch.tensor([ends.level, end], dtype=torch.float64, device=x.device)
        trajectory = odeint(velocity, x, times, atol=self.atol, rtol=self.rtol, method="dopri5", options={"step_t": times[1:]})
        assert isinstance(trajectory, torch.Tensor)
        x = trajectory[-1]
        return x if end == ends.next_level else x + (ends.next_level - end) * velocity(times[1], x)

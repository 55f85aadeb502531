"""Adaptive projected guidance (arXiv 2410.02416): the guiding difference with momentum, a cap, and less of what is
parallel to the conditional prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, BaseMethod, State, Step
from s2g.guidance.geometry import norm, part_along
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


def projected(difference: Tensor, cond: Tensor, eta: float, cap: float) -> Tensor:
    """Apply Algorithm 1: shorten difference [B, ...] to L2 norm `cap` (0: no cap), keep eta of its part along cond."""
    update = difference.double()
    if cap:
        length = norm(update)
        update = update * (cap / length).where(length > cap, 1.0)
    if eta != 1:
        along = part_along(update, cond)
        update = (update - along) + eta * along
    return update.to(cond.dtype)


@dataclass(frozen=True)
class APG(BaseMethod):
    """Two evaluations a step. The memory moves once per step: a second evaluation within it adds to the same earlier one.

    form paper: cond + (scale - 1) update, on denoised predictions. form diffusers: uncond + scale update, on the raw
    output, as diffusers' AdaptiveProjectedGuidance does; its defaults differ with it.
    """

    scale: float = 7.5  # the paper: 15 for SDXL, 4 for DiT-XL/2 and EDM2-S; models carry presets
    form: str = "paper"
    eta: float | None = None  # weight of the parallel part: paper 0, diffusers 1
    r: float | None = None  # cap on the update's L2 norm, 0 for none: diffusers 15
    r_rms: float | None = None  # the same as root mean square, whatever the latent's size: paper's SDXL row, 15, is 0.059
    momentum: float | None = None  # beta: paper -0.5 (its SDXL row), diffusers none

    def __post_init__(self) -> None:
        if self.form not in DEFAULTS:
            raise UserError(f"guidance.form = {self.form}", allowed=", ".join(DEFAULTS))
        for knob in ("r", "r_rms"):
            value = getattr(self, knob)
            if value is not None and value < 0:
                raise UserError(f"guidance.{knob} = {value}", allowed="0 (no cap) or more")
        defaults = dict(DEFAULTS[self.form])
        if self.r is not None or self.r_rms is not None:  # one of the two was chosen
            defaults |= {"r": None, "r_rms": None}
        if self.r == 0:  # no cap, under one name
            object.__setattr__(self, "r", None)
            object.__setattr__(self, "r_rms", 0.0)
        for knob, value in defaults.items():
            if getattr(self, knob) is None:
                object.__setattr__(self, knob, value)
        assert self.momentum is not None
        if not -1 < self.momentum < 1:
            raise UserError(
                f"guidance.momentum = {self.momentum}: the memory would grow without end", allowed="above -1, below 1"
            )

    @property
    def space(self) -> Space:
        return Space.DENOISED if self.form == "paper" else Space.RAW

    @property
    def neutral(self) -> str:
        return AT_ONE if self.scale == 1 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale == 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        cond = preds[COND]
        if self.scale == 1:  # where diffusers switches itself off, too: uncond + a capped update would not be cond
            return cond
        assert self.momentum is not None and self.eta is not None
        difference = cond - preds[UNCOND]
        if state.get("step") != step.index:  # a new step begins: what the last one left is what it builds on
            state |= {"step": step.index, "before": state.get("now")}
        if self.momentum and state["before"] is not None:
            difference = difference + self.momentum * state["before"]
        if step.stage == 0:
            state["now"] = difference  # before the cap, as in both sources
        cap = self.r if self.r is not None else (self.r_rms or 0.0) * cond[0].numel() ** 0.5
        update = projected(difference, cond, self.eta, cap)
        return cond + (self.scale - 1) * update if self.form == "paper" else preds[UNCOND] + self.scale * update


DEFAULTS = {
    "paper": {"eta": 0.0, "r": None, "r_rms": 0.059, "momentum": -0.5},
    "diffusers": {"eta": 1.0, "r": 15.0, "r_rms": None, "momentum": 0.0},
}

"""CFG++ (arXiv 2406.08070): renoise with the unconditional prediction; under Euler and DDIM, CFG with a weight per step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import BaseMethod, Requirement, State, Step
from s2g.guidance.cfg import cfg
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor

MOST = 12.5  # the CFG scale that lam = 1 stands for (the README of the official repository)


def effective_weight(lam: float, level: float, next_level: float, renoise: str) -> float:
    """Return the CFG weight whose Euler step from `level` s to `next_level` s' is CFG++'s step.

    noise: x' = (1-s') x0_lam + s' n_uncond, the paper's Algorithm 2 (DDIM) in flow coordinates: lam s (1-s') / (s-s').
    velocity: x' = x0_lam + s' v_uncond, as ports to flow models write it: lam s / (s-s').
    A VP model's level is sigma / (alpha + sigma), and with it the first is exact for DDIM.
    """
    weight = lam * level / (level - next_level)
    return weight * (1 - next_level) if renoise == "noise" else weight


@dataclass(frozen=True)
class CFGPP(BaseMethod):
    """Two evaluations a step. Its strength grows with the number of steps, and is lam < 1 at the last one."""

    scale: float = 7.5  # a CFG scale; stands for lam = min(scale / 12.5, 1), as in the ports of ADG's repository and reForge
    lam: float | None = None  # the paper's lambda, 0 to 1
    renoise: str = "noise"

    def __post_init__(self) -> None:
        if self.renoise not in ("noise", "velocity"):
            raise UserError(f"guidance.renoise = {self.renoise}", allowed="noise, velocity")
        if self.lam is None:
            if self.scale < 0:
                raise UserError(f"guidance.scale = {self.scale}: CFG++ interpolates", allowed="0 or more")
            # What it comes to is what is kept: equal work has one key.
            object.__setattr__(self, "lam", min(self.scale / MOST, 1.0))
        elif not 0 <= self.lam <= 1:
            raise UserError(f"guidance.lam = {self.lam}: CFG++ interpolates", allowed="0 to 1")
        object.__setattr__(self, "scale", MOST * self.weight)

    @property
    def weight(self) -> float:
        """lam, resolved."""
        assert self.lam is not None
        return self.lam

    @property
    def needs(self) -> frozenset[Requirement]:
        return frozenset({Requirement.STEPS, Requirement.EULER_LIKE})

    @property
    def neutral(self) -> str:
        return "lam = 0: it is uncond alone" if self.weight == 0 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        weight = effective_weight(self.weight, step.level, step.next_level, self.renoise)
        return cfg(preds[COND], preds[UNCOND], weight)

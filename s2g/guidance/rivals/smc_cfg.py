"""SMC-CFG (arXiv 2603.03281): CFG under sliding-mode control, its difference switched by a constant towards falling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, BaseMethod, State, Step
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


def switched(difference: Tensor, before: Tensor, rate: float, gain: float) -> Tensor:
    """Return e - gain sign(s) with e = cond - uncond and s = (e - e_before) + rate e_before, entry by entry.

    before: the *switched* difference of the step before, as the official code keeps it; at the first step e itself.
    """
    surface = (difference - before) + rate * before
    return difference - gain * surface.sign()


@dataclass(frozen=True)
class SMCCFG(BaseMethod):
    """Two evaluations a step, on the raw output. The memory moves once per step: a second evaluation within it builds on the
    same earlier one.
    """

    scale: float = 7.5  # the official README's for SD3 and SD3.5
    rate: float = 5.0  # lambda: its "recommended settings" for every model; the code's own default is 0.05
    gain: float = 0.2  # K, the same; the code's own default is 0.3. In units of the network's output; 0 is CFG

    def __post_init__(self) -> None:
        for knob in ("rate", "gain"):
            if getattr(self, knob) < 0:
                raise UserError(f"guidance.{knob} = {getattr(self, knob)}", allowed="0 or more")

    @property
    def neutral(self) -> str:
        if self.scale == 1:
            return AT_ONE
        return "gain = 0: it is CFG" if self.gain == 0 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale == 1 else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        if self.scale == 1:  # where the official pipelines do without CFG, too
            return preds[COND]
        difference = preds[COND] - preds[UNCOND]
        if state.get("step") != step.index:  # a new step begins: what the last one left is what it builds on
            state |= {"step": step.index, "before": state.get("now")}
        before = difference if state["before"] is None else state["before"]
        moved = switched(difference, before, self.rate, self.gain)
        if step.stage == 0:
            state["now"] = moved
        return preds[UNCOND] + self.scale * moved

"""Part of the trajectory: where a method, or S2's own term, is active."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Guidance, Requirement, State, Step, Wrapper
from s2g.network.branch import COND, Branch

if TYPE_CHECKING:
    from torch import Tensor


LEVEL_DIGITS = 6  # decimals to which levels and the bounds of a level window are rounded before they are compared


@dataclass(frozen=True)
class Window:
    """By step: floor(start n) <= i < floor(stop n). By level: start < noise level <= stop. Strict: start n < i < stop n.

    Bounds are read as the decimal fractions they are written as, so that 0.1 to 0.9 of 50 steps is 40 steps and of
    28 is 23 (the paper's count, Table 5), whatever binary floats make of 0.9 x 50. Strict is how SD3.5's official code and
    diffusers' SD3 pipeline gate skip layer guidance: step 0 is outside whatever the start.
    """

    start: float = 0.0
    stop: float = 1.0
    by: str = "step"

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= 1:
            raise UserError(f"guidance.window = [{self.start}, {self.stop}]: not an interval", allowed="0 <= start < stop <= 1")
        if self.by not in ("step", "level", "strict"):
            raise UserError(f"guidance.window.by = {self.by}", allowed="step, level, strict")

    @property
    def needs(self) -> frozenset[Requirement]:
        """Numbered steps, unless it is always open: "inside" is decided once per step."""
        return frozenset() if (self.start, self.stop) == (0, 1) and self.by != "strict" else frozenset({Requirement.STEPS})

    def active(self, step: Step) -> bool:
        """Whether this step lies inside; the same at every stage of a step."""
        if self.by == "level":
            # 1 - 7/10 is 0.30000000000000004 and a scheduler's 0.3 is fp32's; a bound may be typed as 0.6666666666666667.
            return round(self.start, LEVEL_DIGITS) < round(step.level, LEVEL_DIGITS) <= round(self.stop, LEVEL_DIGITS)
        if self.by == "strict":
            return Fraction(str(self.start)) * step.count < step.index < Fraction(str(self.stop)) * step.count
        return self.first(step.count) <= step.index < self.end(step.count)

    def first(self, count: int) -> int:
        """Return the first active of `count` steps."""
        return math.floor(Fraction(str(self.start)) * count)

    def end(self, count: int) -> int:
        """Return one past the last active of `count` steps."""
        return math.floor(Fraction(str(self.stop)) * count)


ALWAYS = Window()


class InWindow(Wrapper):
    """What wrappers with a window of their own share: outside it they are their base."""

    base: Guidance
    window: Window

    @property
    def inside(self) -> Guidance:
        return self.base

    @property
    def needs(self) -> frozenset[Requirement]:
        return self.base.needs | self.window.needs

    def acts(self, step: Step) -> bool:
        return self.window.active(step) and bool(self.base.branches(step))


@dataclass(frozen=True)
class Windowed(Wrapper):
    """Any method inside a window, cond alone outside (guidance interval, arXiv 2404.07724)."""

    inner: Guidance
    window: Window

    @property
    def inside(self) -> Guidance:
        return self.inner

    @property
    def needs(self) -> frozenset[Requirement]:
        return self.inner.needs | self.window.needs

    @property
    def neutral(self) -> str:
        return self.inner.neutral

    def acts(self, step: Step) -> bool:
        return self.window.active(step) and self.inner.acts(step)

    def branches(self, step: Step) -> Sequence[Branch]:
        return self.inner.branches(step) if self.window.active(step) else (COND,)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return self.inner.combine(preds, step, state) if self.window.active(step) else preds[COND]

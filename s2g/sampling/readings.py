"""What the evaluations of a unit leave to be read: kept on the device, and read once, when the unit is done.

Reading a number of a GPU makes the host wait until the GPU has done all it was given, and then the GPU waits for the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from s2g.errors import NotFiniteError
from s2g.guidance.effective_scale import EffectiveScale
from s2g.sampling.base import StepEnds
from s2g.sampling.unit import Unit


@dataclass(frozen=True)
class _Evaluation:
    """One evaluation: where it was made, what it gave by name, and where its numbers [B] lie in the list of all."""

    ends: StepEnds
    level: float
    names: tuple[str, ...]  # the guided prediction last
    first: int


@dataclass
class Readings:
    """Sums and effective scales of a unit's evaluations, in the order in which they were made."""

    unit: Unit
    at_once: bool = False  # for a solver that reads the device anyway, and would search on with what is not finite
    _evaluations: list[_Evaluation] = field(default_factory=list)
    _scales: list[int | None] = field(default_factory=list)
    _numbers: list[Tensor] = field(default_factory=list)  # each float64 [B]

    def add(self, ends: StepEnds, level: float, values: Mapping[str, Tensor], scale: Tensor | None) -> None:
        """Keep what is to be read of one evaluation. values: predictions [B, ...] by name, the guided one last; scale: [B]."""
        evaluation = _Evaluation(ends, level, tuple(values), len(self._numbers))
        # In float64 no sum of finite fp32 numbers is infinite, and one that is not finite stays so in any sum.
        sums = [value.flatten(1).sum(1, dtype=torch.float64) for value in values.values()]
        if self.at_once:
            self._check(evaluation, torch.stack(sums).cpu())
        self._evaluations.append(evaluation)
        self._numbers += sums
        self.add_scale(scale)

    def add_scale(self, scale: Tensor | None) -> None:
        """Keep an evaluation's effective scales [B]; None where there was no uncond branch, or no movement at all."""
        self._scales.append(None if scale is None else len(self._numbers))
        if scale is not None:
            self._numbers.append(scale)

    def read(self) -> EffectiveScale:
        """Read everything; NotFiniteError that names the first evaluation whose guided prediction is not finite."""
        numbers = torch.stack(self._numbers).cpu() if self._numbers else torch.empty(0)
        for each in self._evaluations:
            self._check(each, numbers[each.first : each.first + len(each.names)])
        scales = EffectiveScale()
        for place in self._scales:
            scales.add(None if place is None else numbers[place])
        return scales

    def _check(self, each: _Evaluation, sums: Tensor) -> None:
        """Where the guided prediction is not finite, name the first branch that was not, or else itself, and the items."""
        finite = sums.isfinite()
        if finite[-1].all():
            return
        row = int((~finite.all(1)).nonzero()[0])
        name, bad = each.names[row], (~finite[row]).nonzero().flatten().tolist()
        raise NotFiniteError(
            f"not finite: step {each.ends.index} of {each.ends.count}, branch {name}, item {self.unit.items[bad[0]]}"
            + (f" and {len(bad) - 1} more" if len(bad) > 1 else ""),
            guided=each.ends.index > 0 or each.level < each.ends.level or row == len(each.names) - 1,
        )

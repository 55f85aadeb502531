"""What a study is: numbers of one network at one noise level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Protocol

from s2g.config.registry import STUDIES
from s2g.config.schema import read
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.guidance.s2 import S2


@dataclass(frozen=True)
class Quantity:
    """One of a study's numbers."""

    label: str
    higher: bool | None  # whether more is better; None: neither
    digits: int


class Study(Protocol):
    """A frozen dataclass of knobs; what counts instead of asking networks says so: `networks = False`."""

    quantities: ClassVar[Mapping[str, Quantity]]
    count: int  # points it looks at

    def measure(self, run: Any) -> dict[str, float]:
        """Every quantity, of a run's network and method; nothing is sampled. UserError for a run it cannot be asked of."""
        ...


def read_study(name: str, knobs: Mapping[str, Any]) -> Study:
    """A study with its knobs; UserError for a name or knob that is not there."""
    kind: type[Study] = STUDIES.load(name)
    return read(kind, knobs, "study")


def asks_networks(name: str) -> bool:
    """Whether a study evaluates networks, and so needs their weights; UserError for a name that is not there."""
    return getattr(STUDIES.load(name), "networks", True)


def method_of(run: Run) -> S2:
    """The run's method; UserError where it is not S2 or a kind of it."""
    if not isinstance(run.guidance, S2):
        raise UserError(f"guidance = {run.name}: a study of sub-networks", allowed="s2, s2_naive")
    return run.guidance


def masks_of(run: Run) -> list[tuple[int, ...]]:
    """Every mask that a run may draw, ascending; all of them are equally likely."""
    method = method_of(run)
    return list(combinations([block for block in range(run.model.blocks) if block not in method.protect], method.drop))

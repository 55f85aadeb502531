"""What a study is: numbers of one network at one noise level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

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


class Study:
    """What studies inherit: each is a frozen dataclass of knobs, among them `count`, the points or images it looks at."""

    quantities: ClassVar[Mapping[str, Quantity]]
    networks: ClassVar[bool] = True  # whether it evaluates networks, and so needs their weights
    count: int

    def check(self, run: Any) -> None:
        """Raise MissingError if data that it looks at is not on this machine; asked before anything is measured."""

    def measure(self, run: Any) -> dict[str, float]:
        """Return every quantity of a run's network and method; nothing is sampled. A quantity may be left out where the run
        has no such thing, such as a weaker network. UserError for a run it cannot be asked of."""
        raise NotImplementedError


def read_study(name: str, knobs: Mapping[str, Any]) -> Study:
    """A study with its knobs; UserError for a name or knob that is not there."""
    kind: type[Study] = STUDIES.load(name)
    return read(kind, knobs, "study")


def asks_networks(name: str) -> bool:
    """Whether a study evaluates networks, and so needs their weights; UserError for a name that is not there."""
    kind: type[Study] = STUDIES.load(name)
    return kind.networks


def method_of(run: Run) -> S2:
    """The run's method; UserError where it is not S2 or a kind of it."""
    if not isinstance(run.guidance, S2):
        raise UserError(f"guidance = {run.name}: a study of sub-networks", allowed="s2, s2_naive")
    return run.guidance


def masks_of(run: Run) -> list[tuple[int, ...]]:
    """Every mask that a run may draw, ascending; all of them are equally likely."""
    method, blocks = method_of(run), run.model.blocks
    return list(combinations([block for block in range(blocks) if block not in method.never(blocks)], method.dropped(blocks)))

"""What a bench is, and what scoring gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from s2g.config.schema import ModelConfig, read

if TYPE_CHECKING:  # planning needs no statistics
    from s2g.metrics.statistics import Mergeable

Arrays = Mapping[str, np.ndarray]  # what `Measuring.measure` gives: item first


@dataclass(frozen=True)
class Metric:
    """A named number of a set of items: the mean of `items`, or `value` of the whole set."""

    name: str
    label: str  # as tables show it
    higher: bool | None  # whether more is better; None: neither, it is there to be looked at
    digits: int
    items: Callable[[Arrays], np.ndarray] | None = None  # [N] values, one an item
    value: Callable[[Any], float] | None = None  # of the arrays, or of what `gather` makes of them
    gather: Callable[[Arrays], Mergeable] | None = None  # statistics of a unit's items that merge with other units'
    bounds: tuple[float, float] | None = None  # the least and the largest value an item can have, where there are such
    main: bool = True  # whether tables of many runs show it

    def __post_init__(self) -> None:
        if (self.items is None) == (self.value is None):
            raise ValueError(f"metric {self.name}: either items or value")


@dataclass(frozen=True)
class PlannedColumn:
    """A number that a bench without code will give, as tables will show it."""

    label: str
    higher: bool
    digits: int


@dataclass(frozen=True)
class PlannedBench:
    """A bench of the paper whose code is not built: what its YAML says, enough to plan and to check columns by name."""

    name: str
    num: int
    metrics: Mapping[str, Mapping[str, Any]]  # name -> label, higher, digits
    kept_mb: float  # an item as it will be stored
    protocol: str  # where it is defined
    downloads: tuple[str, ...] = ()  # what scoring fetches, with sizes
    licences: tuple[str, ...] = ()  # of what is fetched

    @property
    def columns(self) -> dict[str, PlannedColumn]:
        """Metrics by name; UserError for one that does not say what it is."""
        return {name: read(PlannedColumn, about, f"bench.metrics.{name}") for name, about in self.metrics.items()}


class Bench(Protocol):
    """Items by index, and what is told of their scores: what benches that measure and benches that judge have in common."""

    @property
    def num(self) -> int:
        """How many items the bench has when nobody says otherwise."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured."""
        ...

    @property
    def cycle(self) -> int:
        """After how many items the prompts repeat; 0 if they do not."""
        ...

    def check(self, model: ModelConfig) -> None:
        """UserError if the model cannot make these items."""
        ...

    def items_id(self) -> Any:
        """Plain data that says which prompt each item index has; part of the samples' key."""
        ...

    def version(self) -> dict[str, Any]:
        """Plain data that says how items are measured; part of the score's key."""
        ...

    def prompts(self, items: Sequence[int]) -> list[Any]:
        """What the model is given for each item."""
        ...

    def caption(self, item: int) -> str:
        """An item's prompt in words."""
        ...

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        """What was read off one item: by name whether it is as asked for, and a remark; ({}, "") where nothing is read."""
        ...


class Measuring(Bench, Protocol):
    """A bench that reads its numbers off decoded items; one that judges stored files instead is `judged.Judging`."""

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        """Per-item arrays [B, ...] from uint8 images [B, H, W, 3] or float32 points [B, D]; what `Metric.value` works on."""
        ...

"""The contract of a benchmark: which items a model generates, and how they are scored.

A benchmark is a frozen dataclass that inherits from one of three bases and states its number of items as `num`:

MeasuredBench                           reads arrays off decoded items (s2g/benchmarks/shapes/captions.py is the example)
s2g.store.retention.FeatureBench        keeps features of images as they are made, for sets too large to hold in memory
s2g.scoring.file_scoring.FileBench      scores stored files one by one, with scorers that take hours

What is abstract must be written; every other member of `Bench` is optional and has a default that means "no". The engine
asks these members and nothing else. `items_id` is hashed into the key of the samples, `version` into the key of the scores.
Register the class in `BENCHES` (s2g/config/registry.py) and describe its keys in configs/bench/NAME.yaml.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from s2g.config.registry import BENCHES
from s2g.config.schema import ModelConfig, read
from s2g.errors import UserError

if TYPE_CHECKING:  # planning needs no statistics
    from s2g.metrics.statistics import Estimate, Mergeable

Arrays = Mapping[str, np.ndarray]  # per-item arrays by name, item axis first
NOT_NEGATIVE = (0.0, np.inf)  # limits of distances and of ratios of positive numbers


@dataclass(frozen=True)
class Metric:
    """A number of a set of items: the mean of `items`, or `value` of the whole set."""

    name: str
    label: str  # as tables show it
    higher: bool | None  # whether higher is better; None: neither, for information only
    digits: int
    items: Callable[[Arrays], np.ndarray] | None = None  # [N] values, one per item
    value: Callable[[Any], float] | None = None  # of the arrays, or of the merged results of `gather`
    gather: Callable[[Arrays], Mergeable] | None = None  # statistics of a unit's items that merge with those of other units
    bounds: tuple[float, float] | None = None  # lowest and highest possible value of an item
    limits: tuple[float, float] | None = None  # of the number itself, where it is not a mean of items within bounds
    main: bool = True  # whether tables of many runs include it
    influence: Callable[[Arrays], np.ndarray] | None = (
        None  # [N] numbers whose mean is `value`, of 4 items of each class or more
    )
    subset: Callable[[Arrays], np.ndarray] | None = None  # [N] bool: the items it averages; None: all of them

    def __post_init__(self) -> None:
        if (self.items is None) == (self.value is None):
            raise ValueError(f"metric {self.name}: either items or value")

    def within(self, found: Estimate) -> Estimate:
        """Cut an interval where the number cannot be: no distance is negative, no share above 100 %."""
        lowest, highest = self.limits or self.bounds or (-np.inf, np.inf)
        if found.low is None or found.high is None:
            return found
        return replace(found, low=max(found.low, lowest), high=min(found.high, highest))


@dataclass(frozen=True)
class PlannedColumn:
    """A column of a bench without code, as tables will show it."""

    label: str
    higher: bool
    digits: int


@dataclass(frozen=True)
class PlannedBench:
    """A bench of the paper that has no code: its YAML, enough to plan and to check columns by name."""

    name: str
    num: int
    metrics: Mapping[str, Mapping[str, Any]]  # name -> label, higher, digits
    kept_mb: float  # storage of one item
    protocol: str  # where it is defined
    downloads: tuple[str, ...] = ()  # what scoring downloads, with sizes
    licences: tuple[str, ...] = ()  # of the downloads

    fewest: ClassVar[int] = 2

    @property
    def columns(self) -> dict[str, PlannedColumn]:
        """Metrics by name; UserError for one with missing keys."""
        return {name: read(PlannedColumn, about, f"bench.metrics.{name}") for name, about in self.metrics.items()}


class Bench(ABC):
    """Items by index, and how their scores are reported: what every benchmark declares."""

    num: int  # items of a run that does not set its own number
    fewest: ClassVar[int] = 2  # a Fréchet distance of one item is none
    files: ClassVar[tuple[str, ...]] = ()  # keys whose values may be paths

    # Required.

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """Return what is measured; empty if the items are only looked at."""

    @abstractmethod
    def check(self, model: ModelConfig) -> None:
        """Raise UserError if the model cannot make these items, or if files that scoring needs are missing."""

    @abstractmethod
    def items_id(self) -> Any:
        """Return plain data that determines the prompt of every item; part of the samples' key."""

    @abstractmethod
    def version(self) -> dict[str, Any]:
        """Return plain data that determines how items are measured; part of the scores' key."""

    @abstractmethod
    def prompts(self, items: Sequence[int]) -> list[Any]:
        """Return the model's input for each item: a text, or a class index."""

    @abstractmethod
    def caption(self, item: int) -> str:
        """Return an item's prompt as text."""

    # Optional: items.

    @property
    def cycle(self) -> int:
        """Number of items after which the prompts repeat; 0 if they do not."""
        return 0

    @property
    def kept_mb(self) -> float:
        """Storage of one item, in MB; the default is a PNG of the built-in models."""
        return 0.002

    def streams(self, items: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        """Return (seed, index) of the initial noise of items that do not take the run's seed and their own index."""
        return {}

    def fitted(self, model: ModelConfig) -> Self:
        """Return the bench with everything set that depends on the model."""
        return self

    def placed(self, typed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the typed configuration with absolute paths, so that a stored run can be scored from any folder."""
        return typed

    # Optional: the data itself.

    def unseen(self, indices: Sequence[int]) -> tuple[np.ndarray, list[Any]]:
        """Return real items that its models were not trained on, float32 [B, *latent_shape] as networks take them, and their
        prompts; MissingError where they lie in files that are not on this machine, UserError where the bench has none."""
        raise UserError(
            f"{type(self).__name__}: this benchmark has no data that its models were not trained on",
            allowed=", ".join(name for name in BENCHES if BENCHES.load(name).unseen is not Bench.unseen),
        )

    def real_images(self, items: Sequence[int]) -> np.ndarray | None:
        """Return real images of the same prompts, uint8 [B, H, W, 3], to be looked at beside samples; None: there are none."""
        return None

    # Optional: scores.

    def clusters(self, num: int) -> np.ndarray | None:
        """Return the prompt [num] of each item where intervals are over prompts; None: they are over units."""
        return None

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        """Return, for one item, whether each attribute is as prompted, and a remark; ({}, "") if nothing is read."""
        return {}, ""

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Return what must be printed beside a score of the first `num` items, above all why it is not comparable."""
        return []

    # Optional: files from publishers.

    @property
    def downloads(self) -> tuple[str, ...]:
        """What scoring downloads, with sizes."""
        return ()

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of what is downloaded."""
        return ()

    @classmethod
    def downloaders(cls, prompts_only: bool) -> Sequence[Callable[[], Sequence[str]]]:
        """Return the steps of `s2g fetch NAME`; each downloads something and returns lines that say what."""
        return ()


class MeasuredBench(Bench):
    """A bench that measures decoded items."""

    @abstractmethod
    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        """Return per-item arrays [B, ...] of uint8 images [B, H, W, 3] or float32 points [B, D]; metrics work on these."""

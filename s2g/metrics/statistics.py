"""Error bars over units: items of a unit share their masks, so the unit is what is independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, Self

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval (None where one unit says nothing of the spread)."""

    value: float
    low: float | None
    high: float | None
    units: int  # how many independent parts the interval rests on
    method: str = "one unit: no interval"


class Mergeable(Protocol):
    """Statistics of some items that add up to those of all."""

    def merge(self, other: Self) -> Self:
        """The statistics of both."""
        ...


@dataclass(frozen=True)
class Paired:
    """Statistics of the same items under two methods."""

    a: Mergeable
    b: Mergeable

    def merge(self, other: Paired) -> Paired:
        return Paired(self.a.merge(other.a), self.b.merge(other.b))


def of_mean(values: np.ndarray, unit_of: np.ndarray) -> Estimate:
    """The mean of values [N] with an interval over units [N]."""
    return jackknife(lambda rows: float(values[rows].mean()), unit_of)


def jackknife(statistic: Callable[[np.ndarray], float], unit_of: np.ndarray) -> Estimate:
    """`statistic` of item indices, with a t interval from leaving out one unit at a time.

    unit_of: [N] unit of each item. Works for means and for Fréchet-type statistics alike, where resampling with
    repetition would bias upwards; the value reported is the plain one, not bias-corrected.
    """
    everything = np.arange(len(unit_of))
    value = statistic(everything)
    units, sizes = np.unique(unit_of, return_counts=True)
    n = len(units)
    if n < 2 or len(unit_of) - sizes.max() < 2:  # what is left must still have a spread of its own
        return Estimate(value, None, None, n)
    left_out = np.array([statistic(everything[unit_of != unit]) for unit in units])
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    reach = float(stats.t.ppf(0.975, n - 1) * error)
    return Estimate(value, value - reach, value + reach, n, "jackknife over units")


def jackknife_merged(parts: Sequence[Any], value: Callable[[Any], float]) -> Estimate:
    """The same from the units' mergeable statistics, which need not be recomputed from their items."""

    def merged(rows: np.ndarray) -> float:
        return value(reduce(lambda one, other: one.merge(other), [parts[row] for row in rows]))

    return jackknife(merged, np.arange(len(parts)))

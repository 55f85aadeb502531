"""Error bars over units: items of a unit share their masks, so the unit is what is independent.

    units      mean of items                       any other statistic of the set
    1 to 3     no interval                         no interval
    4 to 29    t over units (arcsine of shares)    jackknife over units
    30 on      bootstrap of units, expanded        the same, of 64 groups of units above 64

An interval speaks of other noise, masks and prompts at the same number of items. What a Fréchet distance owes to that
number is in its value; that the reference is a sample too is in neither. Units differ by their prompts as well. Where
these take turns in a `cycle`, an interval is of the spread about each prompt's own mean, and speaks of the same prompts
(balanced.py); else it is rather too wide where the list of prompts is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol, Self

import numpy as np
from scipy.special import ndtr, stdtrit  # scipy.stats takes a second to load, and every command would wait for it

from s2g.metrics.balanced import turns, within_classes

LEVEL = 0.95
FEWEST_UNITS = 4  # for an interval; of two, the t quantile is 12.7, and an arcsine interval spans nearly all of its bounds
FEWEST_SEEDS = 3
BOOTSTRAP_FROM = 30  # units; below, a resample holds too few different ones for its quantiles to mean much
RESAMPLES = 5000
GROUPS = 64  # of whole units, at most: what is left out one at a time
ROUNDING = 1e-12  # spread, relative to the values, below which units are equal


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval (None where the units are too few to show the spread)."""

    value: float
    low: float | None
    high: float | None
    units: int  # how many independent parts the interval rests on
    method: str = f"fewer than {FEWEST_UNITS} units: no interval"


class Mergeable(Protocol):
    """Statistics of some items that add up to those of all."""

    @property
    def count(self) -> int:
        """Return how many items they are of."""
        ...

    def merge(self, other: Self) -> Self:
        """Return the statistics of both."""
        ...


@dataclass(frozen=True)
class Paired:
    """Statistics of the same items under two methods."""

    a: Mergeable
    b: Mergeable

    @property
    def count(self) -> int:
        return self.a.count

    def merge(self, other: Paired) -> Paired:
        return Paired(self.a.merge(other.a), self.b.merge(other.b))


def of_mean(values: np.ndarray, unit_of: np.ndarray, bounds: tuple[float, float] | None = None, cycle: int = 0) -> Estimate:
    """Estimate the mean of values [N] with an interval over units [N].

    cycle: after how many items their classes repeat, 0 if they do not; spread is then within classes (balanced.py).
    bounds: the least and the largest value an item can have, where there are such; of a difference, those of the
    difference. Near them the t interval is skewed as it should be. And where all items, or all of each class, are equal
    (every item right, no item different), where a spread of zero would look certain, they say what can be said: at most
    a share 1 - 0.05^(1/N) of items is otherwise (exact one-sided binomial, "rule of three"), and those by as much as the
    bounds allow. That last takes items for independent: nothing in equal items could tell. ValueError for values
    beyond the bounds.
    """
    if bounds is not None and not (bounds[0] <= values.min() and values.max() <= bounds[1]):
        raise ValueError(f"values from {values.min():g} to {values.max():g}: beyond the bounds {bounds}")
    cycle, equal = turns(unit_of, cycle), np.ptp(values) == 0
    apart = ", within classes" if cycle else ""
    if cycle:
        values = within_classes(values, np.arange(len(values)) % cycle)
    order = np.lexsort((values, unit_of))  # sums then do not depend on the order of items within a unit
    units, first, sizes = np.unique(unit_of[order], return_index=True, return_counts=True)
    values = values[order].astype(np.float64)
    sums = np.add.reduceat(values, first)
    value, n = float(sums.sum() / sizes.sum()), len(units)
    if n < FEWEST_UNITS:
        return Estimate(value, None, None, n)
    means = sums / sizes
    if np.ptp(means) <= ROUNDING * np.abs(means).max():
        if np.ptp(values) > ROUNDING * np.abs(values).max():  # units agree by chance; items then say, as if each were a unit
            found = _t_of_means(values, np.ones(len(values)), bounds)
            return Estimate(value, *found, n, f"t over items, all units equal{apart}")
        alike = "all items equal" if equal else "all items of a class equal"
        if bounds is None:
            return Estimate(value, value, value, n, alike)
        other = 1 - (1 - LEVEL) ** (1 / len(values))
        low, high = (value + other * (bound - value) for bound in bounds)
        return Estimate(value, low, high, n, f"exact binomial, {alike}")
    if n < BOOTSTRAP_FROM:
        method = f"t over units{apart}{', arcsine scale' if bounds else ''}"
        return Estimate(value, *_t_of_means(sums, sizes, bounds), n, method)
    low, high = _bootstrap(sums, sizes)
    if bounds is not None:  # a class's mean and the spread about another's may add up to more
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(value, low, high, n, f"bootstrap over units{apart}")


def of_influence(items: np.ndarray, unit_of: np.ndarray, cycle: int) -> Estimate:
    """Estimate a statistic of a set, within classes, from what each item adds to it: [N] numbers whose mean it is."""
    found = of_mean(items, unit_of, cycle=cycle)
    if found.low is None or found.low < found.value:
        return found
    return Estimate(found.value, None, None, found.units, "no spread over units, within classes: no interval")


def jackknife(statistic: Callable[[np.ndarray], float], unit_of: np.ndarray) -> Estimate:
    """Estimate `statistic` of item indices with a t interval, leaving out one unit, or group of units, at a time.

    unit_of: [N] unit of each item. For Fréchet-type statistics resampling with repetition biases upwards; leaving out
    does not repeat. The value reported is the plain one, not bias-corrected.
    """
    everything = np.arange(len(unit_of))
    units, unit_of = np.unique(unit_of, return_inverse=True)
    group_of = _groups(len(units))[unit_of]
    sizes = np.bincount(group_of)
    value = statistic(everything)
    return _left_out(value, lambda: [statistic(everything[group_of != g]) for g in range(len(sizes))], sizes, len(units))


def jackknife_merged(parts: Iterable[Any], value: Callable[[Any], float], units: int | None = None) -> Estimate:
    """Estimate the same from mergeable statistics of units: three merges a unit.

    parts: one `Mergeable` for each unit, read once and in order, so that a generator need not hold them all; units:
    how many, where `parts` is a generator. value: the statistic of what they merge to.
    """
    if units is None:
        parts = list(parts)
        units = len(parts)
    groups: list[Any] = []
    for group, part in zip(_groups(units), parts, strict=True):
        groups[group:] = [_merge(groups[group], part) if group < len(groups) else part]
    after = list(accumulate(reversed(groups), lambda later, group: _merge(group, later)))[::-1]

    def left_out() -> list[float]:
        before = accumulate(groups[:-1], _merge)
        pairs = zip(before, [*after[2:], None], strict=True)
        return [value(after[1]), *(value(b if a is None else _merge(b, a)) for b, a in pairs)]

    return _left_out(value(after[0]), left_out, np.array([group.count for group in groups]), units)


def over_seeds(values: Sequence[float]) -> Estimate:
    """Estimate the mean over seeds of whole runs, with a t interval over seeds [S]."""
    n, found = len(values), np.asarray(values, np.float64)
    value = float(found.mean())
    if n < FEWEST_SEEDS:
        return Estimate(value, None, None, n, f"fewer than {FEWEST_SEEDS} seeds: no interval")
    if np.ptp(found) == 0:  # a spread of zero would look certain
        return Estimate(value, None, None, n, "all seeds equal: no interval")
    return Estimate(value, *_t_of_means(found, np.ones(n)), n, "t over seeds")


def _t_of_means(sums: np.ndarray, sizes: np.ndarray, bounds: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return the jackknife's t interval of sum / size in closed form; for equal sizes, the t interval of the parts' means.

    With bounds, on the scale arcsin(sqrt(.)) of the way between them, where the spread of a share does not depend on
    the share (Anscombe 1948): near 100 % the interval is skewed as it should be, and never beyond.
    """
    value, left_out = sums.sum() / sizes.sum(), (sums.sum() - sums) / (sizes.sum() - sizes)
    if bounds is None:
        reach = _reach(left_out, sizes)
        return float(value - reach), float(value + reach)
    low, width = bounds[0], bounds[1] - bounds[0]
    at, around = (np.arcsin(np.sqrt(((mean - low) / width).clip(0, 1))) for mean in (value, left_out))
    reach = _reach(around, sizes)
    ends = np.array([max(at - reach, 0.0), min(at + reach, np.pi / 2)])
    first, last = low + width * np.sin(ends) ** 2
    return float(first), float(last)


def _left_out(value: float, left_out: Callable[[], list[float]], sizes: np.ndarray, units: int) -> Estimate:
    if units < FEWEST_UNITS:
        return Estimate(value, None, None, units)
    reach = _reach(np.array(left_out()), sizes)
    if not np.isfinite(reach):  # the statistic does not exist for these items, or not once some are left out
        return Estimate(value, None, None, units, "not defined with items left out: no interval")
    if reach == 0:  # saturated, such as all of a manifold covered: that it cannot vary is not what this says
        return Estimate(value, None, None, units, "no spread over units: no interval")
    method = f"jackknife over {len(sizes)} groups of units" if units > len(sizes) else "jackknife over units"
    return Estimate(value, value - reach, value + reach, units, method)


def _reach(left_out: np.ndarray, sizes: np.ndarray) -> float:
    """Return the t quantile times the jackknife's standard error.

    n is Kish's effective number of parts, the number itself where all have one size: a last unit of few items is not
    worth a degree of freedom.
    """
    n = float(sizes.sum() ** 2 / (sizes.astype(np.float64) ** 2).sum())
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    return float(stdtrit(n - 1, (1 + LEVEL) / 2) * error)


def _bootstrap(sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Return percentiles of the ratio of sums over resampled units, widened as the t interval is against the normal one.

    The expansion undoes the percentile interval's narrowness at few units (Hesterberg 2015, arXiv 1411.5279). Every
    metric of every run sees the same resamples. They are made of raw words, the part of numpy's streams that is fixed
    over its versions, by a multiplication whose bias is below n / 2^32.
    """
    n = len(sums)
    tail = ndtr(-np.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 + LEVEL) / 2))
    words = np.random.PCG64(0)
    ratios = np.empty(RESAMPLES)
    rows = max(1, 2**20 // n)  # resamples at a time: memory stays near 16 MiB
    for start in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - start)
        picks = ((words.random_raw(count * n) >> np.uint64(32)) * np.uint64(n) >> np.uint64(32)).reshape(count, n)
        ratios[start : start + count] = sums[picks].sum(1) / sizes[picks].sum(1)
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def _groups(units: int) -> np.ndarray:
    """Return the group of each unit [units]: itself, or one of 64 groups of neighbours of nearly equal size."""
    return np.arange(units) * min(units, GROUPS) // max(units, 1)


def _merge(one: Mergeable, other: Mergeable) -> Mergeable:
    return one.merge(other)

"""Error bars over units: items of a unit share their masks, so the unit is what is independent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval (None where one unit says nothing of the spread)."""

    value: float
    low: float | None
    high: float | None
    units: int


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
    return Estimate(value, value - reach, value + reach, n)

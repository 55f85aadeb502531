"""Intervals of what is measured once for each pair of a participant and a prompt: both are samples, so both are resampled.

The pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap"): rows and columns are drawn with replacement, each pair
counts as often as its row times as often as its column. Its spread is a little too wide, never too narrow, as numbers grow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, stdtrit

from s2g.metrics.statistics import FEWEST_UNITS, LEVEL, RESAMPLES, Estimate

AT_ONCE = 2**22  # numbers held while resampling


def crossed_bootstrap(
    sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], resamples: int = RESAMPLES
) -> list[Estimate]:
    """Return estimates of `statistic`, which takes weighted totals [..., K] of `sums` [rows, columns, K] to values [..., V].

    sums: zero where a pair has no answer. Percentiles are widened as those of the mean are (statistics.py), by the smaller
    of the two numbers. No interval for fewer than four rows or columns, where a value is not finite in more than one resample
    in a thousand, or where all are equal: no spread would look certain.
    """
    rows, columns, _ = sums.shape
    values = statistic(sums.sum((0, 1)))
    fewest = min(rows, columns)
    if fewest < FEWEST_UNITS:
        reason = f"fewer than {FEWEST_UNITS} participants or prompts: no interval"
        return [Estimate(float(value), None, None, fewest, reason) for value in values]
    words, found = np.random.PCG64(0), []
    step = max(1, AT_ONCE // (columns * sums.shape[2] + rows))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        of_rows, of_columns = _times(words, count, rows), _times(words, count, columns)
        partial = np.tensordot(of_rows, sums, 1)  # [resamples, columns, K]
        found.append(statistic(np.einsum("rc,rck->rk", of_columns, partial)))
    drawn = np.concatenate(found)  # [resamples, V]
    tail = float(ndtr(-np.sqrt(fewest / (fewest - 1)) * stdtrit(fewest - 1, (1 + LEVEL) / 2)))
    method = f"bootstrap over {rows} participants and {columns} prompts"
    return [_estimate(float(value), of_one, tail, fewest, method) for value, of_one in zip(values, drawn.T, strict=True)]


def _times(words: np.random.PCG64, count: int, number: int) -> np.ndarray:
    """Return how often each of `number` things is drawn in each of `count` resamples: [count, number]."""
    picks = (words.random_raw(count * number) >> np.uint64(32)) * np.uint64(number) >> np.uint64(32)
    at = picks.astype(np.int64).reshape(count, number) + number * np.arange(count)[:, None]
    return np.bincount(at.ravel(), minlength=count * number).reshape(count, number).astype(np.float64)


def _estimate(value: float, drawn: np.ndarray, tail: float, units: int, method: str) -> Estimate:
    finite = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(drawn) - len(finite) > len(drawn) / 1000:
        return Estimate(value, None, None, units, "not defined in some resamples: no interval")
    if np.ptp(finite) == 0:
        return Estimate(value, None, None, units, "no spread over resamples: no interval")
    low, high = np.quantile(finite, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), units, method)

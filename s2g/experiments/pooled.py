"""Several runs as one row: mean, variance and deviation of a metric over masks, while the noise stays (paper Table 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from s2g.engine.bench import Metric
from s2g.metrics.balanced import turns
from s2g.metrics.statistics import Estimate, jackknife, of_influence, over_seeds
from s2g.scoring.score import Score, difference

# The paper says "variance" without saying of what: of an image's score, or of the mean over images. Both are here.
STATISTICS = {
    "mean": "mean over runs",
    "image_variance": "variance of one image's score over runs, mean over images",
    "image_std": "its square root",
    "image_cv": "image_std as a percentage of the mean",
    "set_variance": "variance over runs of the whole set's score",
    "set_std": "its square root",
    "set_cv": "set_std as a percentage of the mean",
}


def pooled(statistic: str, metric: Metric, scores: Sequence[Score]) -> Estimate | None:
    """A statistic over runs of the same items; None for a spread of one run, or an image's score where a set has only one.

    Intervals: of a mean over runs, t over runs; of what is an image's, over units, and within classes where these take
    turns; of a set's variance, none is given: over a handful of runs it would be wider than the number.
    """
    if statistic == "mean":
        if len(scores) == 1:
            return scores[0].estimates[metric.name]
        return metric.within(over_seeds(_sets(metric, scores)))
    if len(scores) < 2:
        return None
    kind, what = statistic.split("_")
    if kind == "set":
        values = np.array(_sets(metric, scores))
        return Estimate(_WHAT[what](values.var(ddof=1), values.mean()), None, None, len(values), "of a few runs: no interval")
    if metric.items is None:
        return None
    items = np.stack([metric.items(score.arrays) for score in scores])  # [runs, N]
    variance, mean = items.var(axis=0, ddof=1), items.mean(axis=0)
    run = scores[0].run
    unit_of = np.arange(run.num) // run.model.unit
    if turns(unit_of, run.bench.cycle) and variance.any():
        return of_influence(_influence(what, variance, mean), unit_of, run.bench.cycle)
    return jackknife(lambda rows: _WHAT[what](variance[rows].mean(), mean[rows].mean()), unit_of)


def _influence(what: str, variance: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is the statistic of items' variances and means [N]: what each item adds to it."""
    of_all, middle = variance.mean(), mean.mean()
    value = _WHAT[what](of_all, middle)
    if what == "variance":
        return variance
    share = 0.5 * (variance / of_all - 1)
    return value * (1 + share) if what == "std" else value * (1 + share - (mean / middle - 1))


def scaled(found: Estimate, statistic: str, scale: float) -> Estimate:
    """An estimate of items that were multiplied by `scale` first: a variance takes its square, a percentage nothing."""
    factor = scale ** _POWER.get(statistic.partition("_")[2], 1)
    low, high = (None if end is None else factor * end for end in (found.low, found.high))
    return replace(found, value=factor * found.value, low=low, high=high)


def apart(metric: Metric, scores: Sequence[Score], others: Sequence[Score]) -> Estimate:
    """Mean over runs of the difference of each to its partner; of one run, paired on its items."""
    if len(scores) == 1:
        return difference(metric, scores[0], others[0])
    return over_seeds([a - b for a, b in zip(_sets(metric, scores), _sets(metric, others), strict=True)])


_WHAT: dict[str, Callable[[float, float], float]] = {
    "variance": lambda variance, _: float(variance),
    "std": lambda variance, _: float(np.sqrt(variance)),
    "cv": lambda variance, mean: 100.0 * float(np.sqrt(variance) / mean),
}


_POWER = {"variance": 2, "cv": 0}  # of the scale of what is measured, in a statistic of it; 1 for the others


def _sets(metric: Metric, scores: Sequence[Score]) -> list[float]:
    return [score.estimates[metric.name].value for score in scores]

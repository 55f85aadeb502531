"""The mean of a part as a mean over all: its value to rounding, its spread that of the ratio."""

from __future__ import annotations

import numpy as np

from s2g.metrics.statistics import jackknife, of_mean
from s2g.metrics.subset_mean import subset_mean_items


def test_its_mean_is_the_parts_and_its_interval_the_jackknifes() -> None:
    random = np.random.default_rng(0)
    values, chosen, cluster = random.normal(5, 2, 600), random.random(600) < 0.3, np.arange(600) % 20
    values[5], chosen[5] = np.nan, True
    found = subset_mean_items(values, chosen)
    known = chosen & ~np.isnan(values)
    assert np.isclose(found.mean(), values[known].mean(), atol=1e-12)
    one, other = (
        of_mean(found, cluster),
        jackknife(lambda rows: float(np.nanmean(np.where(known, values, np.nan)[rows])), cluster),
    )
    assert one.low is not None and one.high is not None and other.low is not None and other.high is not None
    assert abs((one.high - one.low) / (other.high - other.low) - 1) < 0.05


def test_nothing_chosen_is_no_number() -> None:
    assert (
        np.isnan(subset_mean_items(np.ones(3), np.zeros(3, bool))).all()
        and np.isnan(subset_mean_items(np.full(3, np.nan), np.ones(3, bool))).all()
    )

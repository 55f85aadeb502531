"""The jackknife over units: closed forms, and coverage where items of a unit go together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from s2g.metrics.statistics import jackknife


def test_the_mean_of_equal_units_has_the_t_interval_of_unit_means() -> None:
    values = np.random.default_rng(0).normal(size=(6, 4))
    found = jackknife(lambda rows: float(values.ravel()[rows].mean()), np.repeat(np.arange(6), 4))
    means = values.mean(1)
    reach = stats.t.ppf(0.975, 5) * means.std(ddof=1) / np.sqrt(6)
    assert (found.value, found.low, found.high, found.units) == pytest.approx(
        (means.mean(), means.mean() - reach, means.mean() + reach, 6)
    )


def test_one_unit_says_nothing_of_the_spread() -> None:
    found = jackknife(lambda rows: float(len(rows)), np.zeros(16, int))
    assert (found.value, found.low, found.high) == (16, None, None)


def test_coverage_with_a_shared_part_in_each_unit() -> None:
    rng = np.random.default_rng(1)
    unit_of = np.repeat(np.arange(16), 8)
    hits = 0
    for _ in range(1000):
        values = rng.normal(size=16)[unit_of] + rng.normal(size=128)
        found = jackknife(lambda rows, v=values: float(v[rows].mean()), unit_of)
        assert found.low is not None and found.high is not None
        hits += found.low <= 0 <= found.high
    assert 930 <= hits <= 970

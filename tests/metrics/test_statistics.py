"""Intervals over units: closed forms, what they say where there is no spread, and agreement of their two forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.statistics import Estimate, Paired, jackknife, jackknife_merged, of_mean, over_seeds


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None and estimate.high is not None
    return estimate.low, estimate.high


def unit_of(units: int, size: int) -> np.ndarray:
    return np.repeat(np.arange(units), size)


def test_few_equal_units_have_the_t_interval_of_their_means() -> None:
    values = np.random.default_rng(0).normal(size=(6, 4))
    means = values.mean(1)
    want = stats.t.interval(0.95, 5, means.mean(), means.std(ddof=1) / np.sqrt(6))
    found = of_mean(values.ravel(), unit_of(6, 4))
    assert ends(found) == pytest.approx(want) and found.value == pytest.approx(values.mean())
    assert (found.units, found.method) == (6, "t over units")
    assert ends(jackknife(lambda rows: float(values.ravel()[rows].mean()), unit_of(6, 4))) == pytest.approx(want)


@pytest.mark.parametrize("units", [1, 2, 3])
def test_fewer_than_four_units_have_no_interval(units: int) -> None:
    """Two units would give 96.9±50.0 for a share of 100, and a Fréchet distance 54.5±215.8."""
    of = np.arange(16) * units // 16
    shares = of_mean(np.where(np.arange(16) < 15, 100.0, 50.0), of, bounds=(0, 100))
    for found in (shares, of_mean(np.full(16, 96.875), of, (0, 100)), jackknife(lambda rows: 96.875, of)):
        assert (found.value, found.low, found.high, found.units) == (96.875, None, None, units)
        assert found.method == "fewer than 4 units: no interval"


def test_many_units_are_resampled_and_the_interval_is_that_of_t() -> None:
    values = np.random.default_rng(0).normal(size=(400, 2))
    found = of_mean(values.ravel(), unit_of(400, 2))
    means = values.mean(1)
    want = stats.t.interval(0.95, 399, means.mean(), means.std(ddof=1) / 20)
    assert found.method == "bootstrap over units"
    assert ends(found) == pytest.approx(want, abs=0.1 * (want[1] - want[0]))


def test_the_bootstrap_is_the_same_on_every_machine_and_for_every_order_of_items() -> None:
    values, units = np.sqrt(np.arange(128) % 41), unit_of(32, 4)
    found = of_mean(values, units)
    assert ends(found) == pytest.approx((3.5553026, 4.5692340), abs=1e-6)  # numpy's raw words are fixed over its versions
    shuffled = np.random.default_rng(0).permutation(128)
    assert of_mean(values[shuffled], units[shuffled]) == found


def test_a_last_unit_of_one_item_is_not_worth_a_degree_of_freedom() -> None:
    values = np.random.default_rng(0).normal(size=65)
    low, high = ends(of_mean(values, np.arange(65) // 16))
    least, most = ends(of_mean(values[:64], np.arange(64) // 16))
    assert high - low > 0.93 * (most - least)  # with four degrees of freedom for three it would be 0.87


def test_units_that_agree_by_chance_are_not_certain() -> None:
    values = np.tile([0.0, 100, 100, 100], 8)
    found = of_mean(values, unit_of(8, 4))
    want = stats.t.interval(0.95, 31, 75, values.std(ddof=1) / np.sqrt(32))
    assert ends(found) == pytest.approx(want) and found.method == "t over items, all units equal"
    assert ends(of_mean(values, unit_of(8, 4), bounds=(0, 100)))[1] < 90


@pytest.mark.parametrize(
    ("value", "bounds", "want"),
    [
        (100.0, (0, 100), (100 * 0.05 ** (1 / 256), 100.0)),  # 98.8: the rule of three says 3 in 256
        (0.0, (0, 100), (0.0, 100 - 100 * 0.05 ** (1 / 256))),
        (0.0, (-100, 100), (-100 + 100 * 0.05 ** (1 / 256), 100 - 100 * 0.05 ** (1 / 256))),  # no item differs
        (0.0, None, (0.0, 0.0)),
    ],
)
def test_equal_items_are_as_certain_as_their_number(value: float, bounds, want: tuple[float, float]) -> None:
    for units in (4, 16, 64):
        found = of_mean(np.full(256, value), np.arange(256) * units // 256, bounds=bounds)
        assert found.value == value and ends(found) == pytest.approx(want)
        assert found.method == ("exact binomial, all items equal" if bounds else "all items equal")


def test_bounds_keep_a_share_within_them_and_change_little_in_the_middle() -> None:
    high = 100.0 * (np.arange(64) != 5)
    low_end, high_end = ends(of_mean(high, unit_of(4, 16), bounds=(0, 100)))
    assert ends(of_mean(high, unit_of(4, 16)))[1] > 100 >= high_end > 98.4375 > low_end
    middle = np.random.default_rng(0).choice([-100.0, 0, 0, 0, 100], 320)
    plain, bounded = (ends(of_mean(middle, unit_of(20, 16), bounds=b)) for b in (None, (-100, 100)))
    assert plain == pytest.approx(bounded, abs=0.02)
    with pytest.raises(ValueError, match="beyond the bounds"):
        of_mean(high, unit_of(4, 16), bounds=(0, 1))


@pytest.mark.parametrize("units", [4, 5, 64, 100])
def test_merged_statistics_have_the_jackknife_of_their_items(units: int) -> None:
    rng = np.random.default_rng(units)
    a, b = (rng.normal(shift, 1, (units * 8, 3)) for shift in (0, 0.5))
    reference, of = Moments.of(rng.normal(size=(500, 3))), unit_of(units, 8)

    def gap(pair: Paired) -> float:
        return frechet_distance(pair.a, reference) - frechet_distance(pair.b, reference)  # type: ignore[arg-type]

    parts = [Paired(Moments.of(a[of == unit]), Moments.of(b[of == unit])) for unit in range(units)]
    merged = jackknife_merged(parts, gap)
    assert jackknife_merged(iter(parts), gap, units) == merged
    whole = jackknife(lambda rows: gap(Paired(Moments.of(a[rows]), Moments.of(b[rows]))), of)
    assert merged.value == pytest.approx(whole.value) and ends(merged) == pytest.approx(ends(whole))
    assert merged.units == units and merged.method == whole.method
    assert merged.method == ("jackknife over 64 groups of units" if units > 64 else "jackknife over units")


class Counted:
    """A sum of items that counts how often any two were merged."""

    merges = 0

    def __init__(self, count: int, total: float) -> None:
        self.count, self.total = count, total

    def merge(self, other: Counted) -> Counted:
        Counted.merges += 1
        return Counted(self.count + other.count, self.total + other.total)


def test_merges_and_evaluations_do_not_grow_with_the_square_of_the_units() -> None:
    evaluated = []

    def mean(part: Counted) -> float:
        evaluated.append(part.count)
        return part.total / part.count

    values = np.random.default_rng(0).normal(size=3125)
    found = jackknife_merged((Counted(1, v) for v in values), mean, 3125)
    assert len(evaluated) == 65 and Counted.merges < 3125 + 3 * 64
    assert sorted(set(evaluated)) == [3125 - 49, 3125 - 48, 3125]
    reach = stats.t.ppf(0.975, 63) * values.std(ddof=1) / np.sqrt(3125)
    assert found.high is not None and found.high - found.value == pytest.approx(reach, rel=0.3)


def test_what_cannot_be_left_out_has_no_interval_and_says_so() -> None:
    saturated = jackknife(lambda rows: 100.0, unit_of(4, 4))
    assert (saturated.low, saturated.method) == (None, "no spread over units: no interval")
    gone = jackknife(lambda rows: float("nan") if len(rows) < 16 else 1.0, unit_of(4, 4))
    assert (gone.value, gone.low) == (1.0, None) and "not defined" in gone.method


def test_seeds_are_the_sample_where_there_are_several() -> None:
    found = over_seeds([1.0, 2.0, 4.0])
    want = stats.t.interval(0.95, 2, 7 / 3, np.std([1, 2, 4], ddof=1) / np.sqrt(3))
    assert ends(found) == pytest.approx(want)
    assert (found.value, found.units, found.method) == (pytest.approx(7 / 3), 3, "t over seeds")
    for few in ([3.0], [3.0, 5.0]):
        assert over_seeds(few) == Estimate(sum(few) / len(few), None, None, len(few), "fewer than 3 seeds: no interval")
    assert over_seeds([3.0] * 3).method == "all seeds equal: no interval"

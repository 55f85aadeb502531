"""Intervals within classes: what differs between classes alone counts for nothing, and what is left is as wide as ever."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from s2g.engine.bench import Metric
from s2g.metrics.balanced import turns, within_classes
from s2g.metrics.statistics import Estimate, jackknife, of_influence, of_mean
from s2g.report.number_text import interval_note
from s2g.scoring.score import difference, estimate

CYCLE, UNIT = 6, 4  # of items: units straddle the cycles
NUM = 24 * CYCLE
CLASS_OF, UNIT_OF = np.arange(NUM) % CYCLE, np.arange(NUM) // UNIT


def half(found: Estimate) -> float:
    assert found.low is not None and found.high is not None
    return (found.high - found.low) / 2


@pytest.mark.parametrize(
    ("num", "unit", "cycle", "want"),
    [
        (540, 16, 108, 108),
        (432, 16, 108, 108),
        (431, 16, 108, 0),  # not four of every class
        (500, 50, 10, 0),  # every unit holds every class equally
        (540, 16, 0, 0),  # prompts do not repeat
    ],
)
def test_where_spread_is_within_classes(num: int, unit: int, cycle: int, want: int) -> None:
    assert turns(np.arange(num) // unit, cycle) == want


def test_values_keep_their_mean_and_the_unbiased_spread_of_their_class() -> None:
    values, class_of = np.random.default_rng(0).normal(size=11), np.array([0, 1, 2] * 3 + [0, 1])
    values += 10 * class_of
    found = within_classes(values, class_of)
    assert found.mean() == pytest.approx(values.mean())
    for each, n in enumerate((4, 4, 3)):
        assert found[class_of == each].mean() == pytest.approx(values.mean())
        assert found[class_of == each].var() == pytest.approx(values[class_of == each].var(ddof=1))
        assert (class_of == each).sum() == n
    with pytest.raises(ValueError, match="one item"):
        within_classes(values, np.array([0] * 10 + [1]))


@pytest.mark.parametrize("items", [24 * UNIT, NUM], ids=["t", "bootstrap"])
def test_what_differs_between_classes_alone_leaves_the_interval_as_it_is(items: int) -> None:
    """A number added to all items of a class moves the mean by a known amount, and widens the interval over plain units."""
    values, class_of, unit_of = np.random.default_rng(1).normal(size=items), CLASS_OF[:items], UNIT_OF[:items]
    moved = values + 5.0 * class_of
    before, after = (of_mean(each, unit_of, cycle=CYCLE) for each in (values, moved))
    assert half(after) == pytest.approx(half(before)) and after.value == pytest.approx(before.value + 12.5)
    assert half(of_mean(moved, unit_of)) > 4 * half(after)
    assert after.method == ("t over units, within classes" if items < NUM else "bootstrap over units, within classes")


def test_few_units_have_the_t_interval_of_residuals() -> None:
    """An independent formula: residuals from class means, summed over units, times sqrt(n / (n - 1))."""
    items = 5 * CYCLE - 2  # the last unit is full, the last cycle is not
    values = np.random.default_rng(2).normal(size=items) + 3.0 * CLASS_OF[:items]
    residuals = np.empty(items)
    for each in range(CYCLE):
        own = [values[i] for i in range(items) if i % CYCLE == each]
        for i in range(each, items, CYCLE):
            residuals[i] = (values[i] - sum(own) / len(own)) * (len(own) / (len(own) - 1)) ** 0.5
    sums = [sum(residuals[start : start + UNIT]) for start in range(0, items, UNIT)]
    units = len(sums)
    error = (units / (units - 1) * sum(each**2 for each in sums)) ** 0.5 / items
    found = of_mean(values, UNIT_OF[:items], cycle=CYCLE)
    assert found.value == pytest.approx(values.mean())
    assert half(found) == pytest.approx(stats.t.ppf(0.975, units - 1) * error)


def test_equal_classes_have_the_interval_over_plain_units() -> None:
    """But for the factor that makes up for the means: no class differs, so nothing is to be taken out."""
    noise = np.random.default_rng(3).normal(size=24 * UNIT)
    for each in range(CYCLE):
        noise[each::CYCLE] -= noise[each::CYCLE].mean()
    plain, within = of_mean(noise, UNIT_OF[: 24 * UNIT]), of_mean(noise, UNIT_OF[: 24 * UNIT], cycle=CYCLE)
    assert half(within) == pytest.approx(half(plain) * np.sqrt(16 / 15))


def test_units_that_hold_every_class_and_few_cycles_are_as_before() -> None:
    values = np.random.default_rng(4).normal(size=NUM)
    whole = np.arange(NUM) // (2 * CYCLE)
    assert of_mean(values, whole, cycle=CYCLE) == of_mean(values, whole)
    few = values[: 4 * CYCLE - 1]
    assert of_mean(few, UNIT_OF[: len(few)], cycle=CYCLE) == of_mean(few, UNIT_OF[: len(few)])


def test_classes_without_any_spread_are_not_certain_and_not_wide() -> None:
    """Two classes always right, four always wrong: over plain units that looks like chance."""
    values = 100.0 * (CLASS_OF < 2)
    found = of_mean(values, UNIT_OF, (0, 100), CYCLE)
    other = 1 - 0.05 ** (1 / NUM)
    assert found.method == "exact binomial, all items of a class equal"
    assert (found.low, found.high) == pytest.approx((found.value * (1 - other), found.value + other * (100 - found.value)))
    assert half(found) < 0.25 * half(of_mean(values, UNIT_OF, (0, 100)))
    unbounded = of_mean(values, UNIT_OF, cycle=CYCLE)
    assert half(unbounded) == 0 and unbounded.method == "all items of a class equal"
    alike = of_mean(np.full(NUM, 100.0), UNIT_OF, (0, 100), CYCLE)
    assert alike == of_mean(np.full(NUM, 100.0), UNIT_OF, (0, 100))


def test_a_statistic_of_such_a_set_has_no_interval_and_says_so() -> None:
    metric = Metric("m", "m", True, 1, value=lambda of: float(of["x"].mean()), influence=lambda of: of["x"])
    arrays = {"x": 7.0 * CLASS_OF}
    found = estimate(metric, arrays, UNIT_OF, CYCLE)
    assert (found.value, found.low, found.high) == (pytest.approx(17.5), None, None)
    assert found.method == "no spread over units, within classes: no interval"
    assert half(estimate(metric, arrays, UNIT_OF)) > 0.5  # over plain units


def test_shares_stay_within_their_bounds() -> None:
    values = np.full(NUM, 100.0)
    values[[5, 11]] = 0  # two errors, both of the last class
    found = of_mean(values, UNIT_OF, (0, 100), CYCLE)
    assert found.low is not None and found.high is not None and 95 < found.low < found.value < found.high <= 100


def test_an_influence_has_the_jackknife_of_its_statistic_where_classes_are_equal() -> None:
    """The square root of a mean square, whose influence is known in closed form."""
    values = np.random.default_rng(5).normal(1, 1, 20 * CYCLE)
    unit_of = UNIT_OF[: len(values)]
    root = float(np.sqrt((values**2).mean()))
    whole = jackknife(lambda rows: float(np.sqrt((values[rows] ** 2).mean())), unit_of)
    found = of_influence(root + (values**2 - root**2) / (2 * root), unit_of, CYCLE)
    assert found.value == pytest.approx(root) and half(found) == pytest.approx(half(whole), rel=0.12)


def run_of(num: int, cycle: int, unit: int = UNIT) -> SimpleNamespace:
    bench = SimpleNamespace(cycle=cycle, clusters=lambda num: None)
    return SimpleNamespace(num=num, bench=bench, model=SimpleNamespace(unit=unit), units=range(-(-num // unit)))


@pytest.mark.parametrize("of", ["items", "influence"])
def test_a_difference_of_two_methods_is_within_classes_too(of: str) -> None:
    """One is better by as much as the class says; a set drawn again has the same classes, so the difference is certain."""
    value = None if of == "items" else (lambda arrays: float(arrays["x"].mean()))
    metric = Metric("m", "m", True, 1, value=value, **{of: lambda arrays: arrays["x"]})
    rng = np.random.default_rng(6)
    a, noise = rng.normal(size=NUM), 0.1 * rng.normal(size=NUM)
    within, plain = (
        difference(metric, *(SimpleNamespace(run=run_of(NUM, cycle), arrays={"x": x}) for x in (a + CLASS_OF, a + noise)))  # type: ignore[arg-type]
        for cycle in (CYCLE, 0)
    )
    assert within.value == pytest.approx(2.5, abs=0.1) and half(within) < 0.025 and half(plain) > 0.1


@pytest.mark.parametrize(("num", "cycle", "said"), [(NUM, CYCLE, "36 units within classes,"), (NUM, 0, "36 units, given")])
def test_a_note_says_what_intervals_are_over(num: int, cycle: int, said: str) -> None:
    assert said in interval_note(run_of(num, cycle))  # type: ignore[arg-type]
    assert interval_note(run_of(12, cycle)) == "n too small for intervals: num=16 or more"  # type: ignore[arg-type]

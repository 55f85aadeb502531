"""Short runs of scripts/coverage_of_intervals.py and coverage_within_classes.py: intervals hold the truth as often as said."""

from __future__ import annotations

import coverage_within_classes as of_classes
import pytest
from coverage_of_intervals import CASES, SHARED, bias, coverage

CASE = {case.name: case for case in CASES}
SHARES = pytest.mark.parametrize("share", [0.0, SHARED], ids=["independent items", "shared masks"])


@pytest.mark.slow("simulates")
@SHARES
@pytest.mark.parametrize(("units", "scale"), [(4, 1.0), (16, 0.4), (64, 0.1)])
@pytest.mark.parametrize("name", ["mean of normals", "accuracy 80 %", "accuracy 85 % - 80 %, paired"])
def test_means_are_held_as_often_as_said(name: str, units: int, scale: float, share: float) -> None:
    ours, of_items = coverage(CASE[name], units, share, scale)
    assert 92 <= ours <= 98
    assert of_items < 82 if share else of_items > 90


@SHARES
def test_rare_errors_are_not_called_certain(share: float) -> None:
    ours, of_items = coverage(CASE["accuracy 98 %"], 16, share, 0.4)
    assert ours >= 93 and of_items < 90


@pytest.mark.slow("simulates")
@SHARES
@pytest.mark.parametrize(("name", "units"), [("Fréchet distance", 4), ("Fréchet distance", 16), ("coverage of a manifold", 4)])
def test_statistics_of_a_set_are_held_as_often_as_said(name: str, units: int, share: float) -> None:
    ours, of_items = coverage(CASE[name], units, share, 0.25)
    assert 92 <= ours <= 98.5
    assert of_items < 70


def test_repeating_items_biases_a_frechet_distance_upwards() -> None:
    reported, of_units, of_items = bias(16, 0.0, draws=10)
    assert reported < 0.95 * of_units and reported < 0.95 * of_items


@pytest.mark.slow("simulates")
@pytest.mark.parametrize("paired", [False, True], ids=["one", "paired"])
@pytest.mark.parametrize("name", ["Fréchet distance", "diversity"])
@SHARES
def test_within_classes_statistics_are_held_as_often_as_said_and_no_wider(name: str, paired: bool, share: float) -> None:
    case = next(case for case in of_classes.CASES if case.name == name)
    (held, width), _ = of_classes.coverage(case, 5, share, of_classes.APART, paired, 150)
    assert 90 <= held <= 99 and 0.85 < width < 1.25


def test_classes_that_lie_apart_widen_the_interval_over_plain_units() -> None:
    case = next(case for case in of_classes.CASES if case.name == "Fréchet distance")
    (_, within), (_, plain) = of_classes.coverage(case, 5, 0.0, of_classes.APART, False, 40)
    assert plain > 1.2 * within

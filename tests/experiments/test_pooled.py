"""Several runs as one row: the variance over masks by its two readings, against numbers worked out apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from s2g.config.schema import CHECKOUT
from s2g.engine.bench import Metric
from s2g.experiments.measure import cells_of
from s2g.experiments.pooled import STATISTICS, apart, pooled
from s2g.experiments.specification_file import find_experiment
from s2g.metrics.statistics import Estimate, of_mean

METRIC = Metric("m", "m", True, 1, items=lambda of: of["value"])
WHOLE = Metric("w", "w", True, 1, value=lambda of: float(of["value"].max()))
RUNS = np.array([[1.0, 2.0, 3.0, 6.0], [3.0, 2.0, 3.0, 6.0], [2.0, 2.0, 3.0, 9.0]])


def scores() -> list[Any]:
    run = SimpleNamespace(num=4, model=SimpleNamespace(unit=1), bench=SimpleNamespace(cycle=0))
    units = np.arange(4)
    return [
        SimpleNamespace(run=run, arrays={"value": row}, estimates={"m": of_mean(row, units), "w": of_mean(row, units)})
        for row in RUNS
    ]


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ("mean", (3.0 + 3.5 + 4.0) / 3),
        ("image_variance", (1.0 + 0 + 0 + 3.0) / 4),
        ("image_std", 1.0),
        ("image_cv", 100 / 3.5),
        ("set_variance", 0.25),
        ("set_std", 0.5),
        ("set_cv", 100 * 0.5 / 3.5),
    ],
)
def test_each_statistic(statistic: str, value: float) -> None:
    found = pooled(statistic, METRIC, scores())
    assert found is not None
    assert found.value == pytest.approx(value)
    if statistic.startswith("set"):
        assert found.low is None
    else:
        assert found.low is not None and found.high is not None and found.low < value < found.high


def test_one_run_has_a_mean_and_no_spread() -> None:
    one = scores()[:1]
    assert pooled("mean", METRIC, one) == one[0].estimates["m"]
    assert all(pooled(statistic, METRIC, one) is None for statistic in STATISTICS if statistic != "mean")


def test_a_set_without_scores_of_images_has_no_spread_of_an_image() -> None:
    assert pooled("image_std", WHOLE, scores()) is None
    assert pooled("set_std", WHOLE, scores()) is not None


def test_a_difference_of_rows_of_several_runs_is_taken_run_by_run() -> None:
    units = np.arange(4) // 2
    others = [SimpleNamespace(estimates={"m": of_mean(row - shift, units)}) for row, shift in zip(RUNS, (1, 2, 3), strict=True)]
    found = apart(METRIC, scores(), others)
    # Differences of 1, 2, 3: their mean is 2 and its t interval 4.303 / sqrt(3), however much the runs themselves differ.
    assert found.value == pytest.approx(2) and found.high == pytest.approx(2 + 4.3027 / np.sqrt(3), abs=1e-3)


def test_table_7_is_in_the_papers_units() -> None:
    # HPS gives items as 100 cos; the paper prints its mean so, and variance and deviation of the cosine itself.
    experiment = find_experiment(CHECKOUT / "experiments", "table7")
    mean, variance, std, cv = experiment.paper["sd3"]["s2"]
    assert std == pytest.approx(cv / 100 * mean / 100, abs=5e-5) and variance == pytest.approx(std**2, abs=5e-7)
    noise = np.random.default_rng(0).normal(size=(6, 500)) * 0.26
    metric, units = Metric("avg", "", True, 2, items=lambda of: of["hps"]), np.arange(500) // 4
    runs: list[Any] = []
    for number, row in enumerate(30.86 + noise - noise.mean()):
        bench, model = SimpleNamespace(metrics=(metric,), cycle=0), SimpleNamespace(unit=4)
        run = SimpleNamespace(num=500, model=model, bench=bench, key=str(number))
        runs.append(SimpleNamespace(run=run, arrays={"hps": row}, estimates={"avg": of_mean(row, units)}, remarks=()))
    cells = cells_of(experiment.profile("paper"), "hps", runs, [], "")
    assert cells["mean_percent"].value == pytest.approx(mean) and cells["cv"].value == pytest.approx(cv, rel=0.05)
    assert cells["std"].value == pytest.approx(std, rel=0.05) and cells["variance"].value == pytest.approx(variance, rel=0.1)
    assert cells["std"].value == pytest.approx(cells["cv"].value * cells["mean_percent"].value / 1e4, rel=1e-4)  # type: ignore[operator]
    assert cells["variance"].low < cells["variance"].value < cells["variance"].high < 1e-5  # type: ignore[operator]


@pytest.mark.parametrize("statistic", ["image_variance", "image_std", "image_cv"])
def test_classes_that_take_turns_are_no_spread_of_an_image(statistic: str) -> None:
    """Where classes are alike the interval is that of the jackknife; where they differ it is narrower."""
    rng, cycle, num = np.random.default_rng(0), 6, 240
    noise = 5 + rng.normal(size=(12, num))

    def half(values: np.ndarray, turns: int) -> float:
        run = SimpleNamespace(num=num, model=SimpleNamespace(unit=4), bench=SimpleNamespace(cycle=turns))
        found = pooled(statistic, METRIC, [SimpleNamespace(run=run, arrays={"value": row}) for row in values])  # type: ignore[misc]
        assert isinstance(found, Estimate) and found.low is not None and found.high is not None
        return (found.high - found.low) / 2

    assert half(noise, cycle) == pytest.approx(half(noise, 0), rel=0.15)
    apart = 5 + (noise - 5) * np.array([1.0, 1, 1, 1, 1, 9])[np.arange(num) % cycle]
    assert half(apart, cycle) < 0.8 * half(apart, 0)

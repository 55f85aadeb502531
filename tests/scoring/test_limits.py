"""Intervals end where the number itself ends: no distance below 0, no share above 100 %."""

from __future__ import annotations

import numpy as np
import pytest

from s2g.benchmarks.distances.metrics import DISTANCES
from s2g.benchmarks.fashion.bench import METRICS as FASHION
from s2g.benchmarks.gmm.bench import metrics as of_points
from s2g.benchmarks.shapes.bench import METRICS as SHAPES
from s2g.benchmarks.shapes.captions import METRICS as CAPTIONS
from s2g.benchmarks.shapes.videos import METRICS as VIDEOS
from s2g.benchmarks.two_class.bench import metrics as of_pair
from s2g.benchmarks.two_class.digits import Digits
from s2g.engine.bench import NOT_NEGATIVE, Metric
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.score import estimate
from s2g.worlds.mixtures.mixture import Mixture

OF_FOLDERS = [distance.metric for distance in DISTANCES.values()]
WORDS = ("FD", "FID", "MIND", "CMMD", "W1", "distance", "diversity")  # in the labels of distances
UNIT_OF = np.repeat(np.arange(4), 4)


def test_a_distance_that_may_be_zero_is_not_negative() -> None:
    """|mean| of units of means 2, 0, 0, 0: 0.5, with a t interval of 3.18 x 0.5 to either side."""
    values = {"x": np.repeat([2.0, 0, 0, 0], 4)}
    plain = Metric("w", "W1", False, 3, value=lambda of: abs(float(of["x"].mean())))
    assert estimate(plain, values, UNIT_OF).low == pytest.approx(0.5 - 3.182 * 0.5, abs=1e-3)
    found = estimate(Metric("w", "W1", False, 3, value=plain.value, limits=NOT_NEGATIVE), values, UNIT_OF)
    assert (found.value, found.low) == (0.5, 0.0) and found.high == pytest.approx(0.5 + 3.182 * 0.5, abs=1e-3)


def test_a_share_of_some_of_the_items_is_no_more_than_all_of_them() -> None:
    right, chosen = np.arange(16) != 0, np.arange(16) % 4 < 2
    metric = Metric(
        "one", "one object %", True, 1, items=lambda of: 100.0 * subset_mean_items(of["right"], chosen), limits=(0.0, 100.0)
    )
    found = estimate(metric, {"right": right.astype(float)}, UNIT_OF)
    assert found.value == 87.5 and found.high == 100.0 and found.low is not None and 0 < found.low < 87.5


def test_without_an_interval_nothing_is_cut() -> None:
    found = estimate(Metric("w", "W1", False, 3, value=lambda of: -1.0, limits=NOT_NEGATIVE), {}, UNIT_OF[:4])
    assert (found.value, found.low, found.high) == (-1.0, None, None)


def test_every_share_and_distance_has_limits() -> None:
    pair = of_pair(Digits())
    metrics = (*SHAPES, *CAPTIONS, *VIDEOS, *FASHION, *OF_FOLDERS, *pair, *of_points(Mixture.named("line", 1.0, "each")))
    shares = [metric for metric in metrics if metric.label.endswith("%") or metric.name.startswith(("precision", "recall"))]
    distances = [
        metric
        for metric in metrics
        if any(word in metric.label for word in ("FD", "FID", "MIND", "CMMD", "W1", "distance", "diversity"))
    ]
    assert len(shares) > 20 and len(distances) > 7
    for metric in shares:
        assert (metric.limits or metric.bounds) in ((0.0, 100.0), (0.0, 1.0)), metric.label
    for metric in distances:
        assert (metric.limits or metric.bounds) == NOT_NEGATIVE, metric.label

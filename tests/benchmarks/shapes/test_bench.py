"""The shapes bench's metrics: what true scenes score, and what each metric notices."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from s2g.benchmarks.common_metrics import stored_manifold, stored_moments
from s2g.benchmarks.shapes.bench import METRICS, REFERENCE, Shapes, layout
from s2g.scoring.score import estimate
from s2g.worlds.shapes.render import render
from s2g.worlds.shapes.world import NUM_CLASSES, REFERENCE_SEED, Scenes, scenes

BENCH = Shapes()
ITEMS = range(256)
LABELS = np.array(BENCH.prompts(ITEMS))


def pixels(drawn: Scenes) -> np.ndarray:
    return (render(drawn) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)


def scores(images: np.ndarray) -> dict[str, float]:
    arrays = BENCH.measure(images, ITEMS[: len(images)])
    assert {len(values) for values in arrays.values()} == {len(images)}
    return {metric.name: estimate(metric, arrays, np.arange(len(images)) // 16).value for metric in METRICS}


@pytest.fixture(scope="module")
def drawn() -> Scenes:
    return scenes(REFERENCE_SEED, np.arange(10**6, 10**6 + 256), LABELS)


@pytest.fixture(scope="module")
def true(drawn: Scenes) -> dict[str, float]:
    return scores(pixels(drawn))


def test_true_scenes_score_as_truth(true: dict[str, float]) -> None:
    assert true["joint"] == 100 and true["fd"] < 5 and true["pis"] > 100
    assert true["precision"] > 85 and true["recall"] > 98 and true["coverage"] > 45
    assert true["density"] == pytest.approx(1, abs=0.15)
    assert true["diversity"] == pytest.approx(3.61, abs=0.2)
    assert true["contrast"] == pytest.approx(0.138, abs=0.005)
    assert true["saturation"] == pytest.approx(14.7, abs=0.6)
    assert true["clipped"] == pytest.approx(0.1, abs=0.1)


def test_each_metric_notices_what_it_is_for(drawn: Scenes, true: dict[str, float]) -> None:
    vivid = scores(np.clip((pixels(drawn).astype(float) - 128) * 2 + 128, 0, 255).astype(np.uint8))
    assert vivid["contrast"] > 1.3 * true["contrast"] and vivid["saturation"] > 1.05 * true["saturation"]
    assert vivid["clipped"] > 5 > true["clipped"]
    still = scores(pixels(dataclasses.replace(drawn, center=0 * drawn.center, radius=0 * drawn.radius + 0.56)))
    assert still["diversity"] < 0.85 * true["diversity"] and still["joint"] == 100
    grown = scores(pixels(dataclasses.replace(drawn, radius=1.2 * drawn.radius)))
    assert grown["diversity"] == pytest.approx(true["diversity"], rel=0.05)  # larger is not less diverse
    one = scores(np.repeat(pixels(drawn)[:1], 256, axis=0))
    assert one["diversity"] == 0 and one["recall"] == 0 and one["coverage"] < 1
    noise = scores(np.random.default_rng(0).integers(0, 256, (256, 32, 32, 3)).astype(np.uint8))
    assert noise["precision"] == noise["density"] == 0 and noise["fd"] > 20 * true["fd"]


def test_the_layout_is_the_scene(drawn: Scenes) -> None:
    read = layout(pixels(drawn))
    for column, truth in zip(read.T, (*drawn.center.T, drawn.radius, drawn.grey), strict=False):
        assert np.corrcoef(column, truth)[0, 1] > 0.9
    within = read - np.stack([read[label == LABELS].mean(0) for label in range(NUM_CLASSES)])[LABELS]
    spread = np.sqrt((within**2).sum(0) / (256 - NUM_CLASSES))
    np.testing.assert_allclose(spread, 1, atol=0.2)


def test_a_run_of_few_items_is_scored_without_what_few_items_do_not_have() -> None:
    few = scores(pixels(scenes(0, np.arange(3), LABELS[:3])))
    assert np.isnan(few["recall"]) and np.isnan(few["diversity"])
    assert all(np.isfinite(value) for name, value in few.items() if name not in ("recall", "diversity"))


def test_the_reference_is_the_probe_on_true_scenes() -> None:
    assert stored_moments(REFERENCE).count == 10_000 and stored_manifold(REFERENCE, 3).points.shape == (2000, 64)
    spread = np.sqrt(np.diag(stored_moments(REFERENCE).covariance) / 2000)
    assert (np.abs(stored_manifold(REFERENCE, 3).points.mean(0) - stored_moments(REFERENCE).mean) < 5 * spread + 1e-3).all()


def test_names_are_unique_and_planning_loads_no_torch() -> None:
    assert len({metric.name for metric in METRICS}) == len({metric.label for metric in METRICS}) == len(METRICS)
    code = "import sys, s2g.benchmarks.shapes.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

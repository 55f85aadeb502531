"""bench=shapes_t2v: true videos are read without an error, and every kind of mistake is told from the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2g.benchmarks.common_metrics import stored_moments
from s2g.benchmarks.shapes.videos import METRICS, REFERENCE, ShapesT2V
from s2g.engine.bench import Arrays
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.scoring.score import estimate
from s2g.worlds.shapes.motion import STILL, attributes_of, kind_of, render
from s2g.worlds.shapes.video_prompts import COUNT, prompt_kinds
from s2g.worlds.shapes.world import HELD_OUT_SEED

BENCH = ShapesT2V()
NUM = 60


def filmed(kinds: np.ndarray) -> np.ndarray:
    videos = render(kinds, HELD_OUT_SEED, np.arange(500_000, 500_000 + len(kinds)))
    return (videos * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 4, 1)


def values(arrays: Arrays, num: int = NUM) -> dict[str, Any]:
    return {metric.name: estimate(metric, arrays, np.arange(num) // 15).value for metric in METRICS}


def other(**values: np.ndarray) -> np.ndarray:
    return kind_of(**{**attributes_of(prompt_kinds()[:NUM]), **values})


@pytest.fixture(scope="module")
def true() -> Arrays:
    return BENCH.measure(filmed(prompt_kinds()[:NUM]), range(NUM))


def test_true_videos_are_read_without_an_error(true: Arrays) -> None:
    found = values(true)
    for name in ("joint", "motion", "color", "shape", "held_out", "moves"):
        assert found[name] == 100, name
    assert found["confidence"] > 99 and found["moving"] == 80
    assert found["steadiness"] == 100 and found["jitter"] < 0.1 and found["consistency"] > 95
    assert BENCH.reading(true, 1) == ({"shape": True, "color": True, "motion": True}, "")


@pytest.mark.parametrize("name", ["color", "shape", "motion"])
def test_a_mistake_is_one_of_its_own_attribute(name: str) -> None:
    count = 5 if name == "motion" else 6
    arrays = BENCH.measure(filmed(other(**{name: (attributes_of(prompt_kinds()[:NUM])[name] + 1) % count})), range(NUM))
    found = values(arrays)
    for attribute in ("color", "shape", "motion"):
        assert found[attribute] == (0 if attribute == name else 100)
    assert found["joint"] == 0 and BENCH.reading(arrays, 0)[1].startswith("the reader reads: a ")


def test_what_stands_still_though_it_was_to_move_is_seen_without_the_reader() -> None:
    arrays = BENCH.measure(filmed(other(motion=np.full(NUM, STILL))), range(NUM))
    found = values(arrays)
    assert found["moving"] == 0 and found["moves"] == 20 == found["motion"]


def test_flicker_and_another_object_in_the_middle_are_seen(true: Arrays) -> None:
    videos = filmed(prompt_kinds()[:NUM])
    still = attributes_of(prompt_kinds()[:NUM])["motion"] == STILL
    dimmed = videos.copy()
    dimmed[:, ::2] = (dimmed[:, ::2] * 0.9).astype(np.uint8)
    assert 90 < values(BENCH.measure(dimmed, range(NUM)))["steadiness"] < 97
    cut = videos.copy()
    cut[:, 4:] = filmed(other(color=(attributes_of(prompt_kinds()[:NUM])["color"] + 2) % 6))[:, 4:]
    assert values(BENCH.measure(cut, range(NUM)))["consistency"] < values(true)["consistency"] - 2
    moved = np.where(still[:, None, None, None, None], filmed(prompt_kinds()[:NUM]), dimmed)
    assert values(BENCH.measure(moved, range(NUM)))["steadiness"] == 100  # of those alone that were to stand still


def test_a_video_that_loses_its_object_leaves_the_others_their_jitter(true: Arrays) -> None:
    videos = filmed(prompt_kinds()[:NUM])
    videos[1, 3] = videos[1, 0, 0, 0]
    found = values(BENCH.measure(videos, range(NUM)))
    assert found["jitter"] == pytest.approx(np.delete(true["jitter"], 1).mean()) and found["moves"] == 100
    assert found["unseen"] == pytest.approx(100 / NUM) and values(true)["unseen"] == 0


def test_the_distance_of_true_videos_is_that_of_their_number() -> None:
    def distance(kinds: np.ndarray) -> float:
        return frechet_distance(Moments.of(BENCH.measure(filmed(kinds), range(COUNT))["features"]), stored_moments(REFERENCE))

    of = attributes_of(prompt_kinds())
    assert distance(prompt_kinds()) < 0.1 * distance(kind_of(of["shape"], np.zeros(COUNT, int), of["motion"]))

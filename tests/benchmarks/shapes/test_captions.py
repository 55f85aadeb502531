"""bench=shapes_t2i: true scenes are read without an error, and every kind of mistake is told from the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2g.benchmarks.common_metrics import stored_moments
from s2g.benchmarks.shapes.captions import METRICS, REFERENCE, ShapesT2I
from s2g.engine.bench import Arrays
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.experiments.composition import compose_row
from s2g.experiments.specification import RunSpec
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.scoring.score import estimate
from s2g.worlds.shapes.captions import NONE, Captioned, render
from s2g.worlds.shapes.prompts import COUNT, KIND, KIND_OF, prompt_classes
from s2g.worlds.shapes.world import HELD_OUT_SEED, attributes_of

BENCH = ShapesT2I()
NUM = 64


def painted(rows: np.ndarray, seed: int = HELD_OUT_SEED) -> np.ndarray:
    images = render(Captioned(*rows.T), seed, np.arange(500_000, 500_000 + len(rows)))
    return (images * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)


def values(arrays: Arrays) -> dict[str, float]:
    return {metric.name: estimate(metric, arrays, np.arange(NUM) // 16).value for metric in METRICS}


@pytest.fixture(scope="module")
def true() -> Arrays:
    return BENCH.measure(painted(prompt_classes()[:NUM]), range(NUM))


def test_true_scenes_are_read_without_an_error(true: Arrays) -> None:
    found = values(true)
    for name in ("joint", "color", "shape", "texture", "relation", "one", "two", "one_held_out", "two_held_out"):
        assert found[name] == 100, name
    assert found["confidence"] > 99
    assert BENCH.reading(true, 1) == ({"shape": True, "color": True, "texture": True, "number and place": True}, "")


def test_the_distance_of_true_scenes_is_that_of_their_number() -> None:
    """256 scenes against 10,240: small, and far below that of scenes whose objects have all one texture."""

    def distance(rows: np.ndarray) -> float:
        return frechet_distance(Moments.of(BENCH.measure(painted(rows), range(COUNT))["features"]), stored_moments(REFERENCE))

    solid = prompt_classes().copy()
    solid[:, :2] = np.where(solid[:, :2] == NONE, NONE, solid[:, :2] - attributes_of(solid[:, :2].clip(0))["texture"])
    assert distance(prompt_classes()) < 0.1 * distance(solid)


def test_swapped_objects_are_an_error_of_binding_alone() -> None:
    """What is asked for is there, in the wrong places: all right falls to the share of captions with one object."""
    rows = prompt_classes()[:NUM]
    two = rows[:, 1] != NONE
    swapped = np.where(two[:, None], rows[:, [1, 0, 2]], rows)
    arrays = BENCH.measure(painted(swapped), range(NUM))
    found = values(arrays)
    assert found["relation"] == 100 and found["joint"] == 100 * (1 - two.mean()) and found["two"] == 0
    same = [(attributes_of(rows[two, 0])[n] == attributes_of(rows[two, 1])[n]).mean() for n in ("color", "shape", "texture")]
    for name, share in zip(("color", "shape", "texture"), same, strict=True):
        assert found[name] == pytest.approx(100 * (1 - two.mean() * (1 - share)))


def test_a_missing_object_is_an_error_of_number() -> None:
    rows = prompt_classes()[:NUM].copy()
    two = rows[:, 1] != NONE
    rows[two] = np.column_stack([rows[two, 0], np.full((two.sum(), 2), NONE)])
    found = values(BENCH.measure(painted(rows), range(NUM)))
    assert found["relation"] == 100 * (1 - two.mean()) == found["joint"] and found["one"] == 100


def test_another_order_of_the_two_is_an_error_of_place() -> None:
    rows = prompt_classes()[:NUM].copy()
    two = rows[:, 1] != NONE
    rows[two, 2] = 1 - rows[two, 2]
    arrays = BENCH.measure(painted(rows), range(NUM))
    assert not arrays["relation"][two].any() and arrays["relation"][~two].all()
    right, remark = BENCH.reading(arrays, 1)
    assert not right["number and place"] and remark.startswith("the reader reads: a ") is False and "left of" in remark


def test_kinds_are_scored_apart(true: Arrays) -> None:
    wrong = {**true, "relation": true["relation"] & (KIND_OF[np.arange(NUM) % 8] != KIND["two_held_out"])}
    found = values(wrong)
    assert found["two_held_out"] == 0 and found["two"] == found["one"] == found["one_held_out"] == 100


def test_items_of_the_next_round_have_the_same_captions() -> None:
    assert BENCH.prompts(range(3)) == BENCH.prompts(range(COUNT, COUNT + 3)) and BENCH.cycle == COUNT


def model(name: str) -> Any:
    return outline(compose_row(RunSpec("", "", "", "shapes", {"model": name, "guidance": "cfg", "bench": "shapes"}))).model


def test_other_models_are_refused_by_name() -> None:
    for name in ("tiny_sit", "sd35"):
        with pytest.raises(UserError, match="tiny_sd3"):
            BENCH.check(model(name))

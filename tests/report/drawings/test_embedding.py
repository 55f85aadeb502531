"""One plane for all: what is near in features is near there, the same input gives the same places, the picture draws them."""

from __future__ import annotations

import io

import numpy as np
import pytest

from s2g.report.drawings.embedding import REAL, embed, embedding_figure

RANDOM = np.random.default_rng(0)
CENTRES = np.zeros((2, 16))
CENTRES[1, 0] = 30.0


def cloud(count: int) -> tuple[np.ndarray, np.ndarray]:
    label = np.arange(count) % 2
    return CENTRES[label] + RANDOM.normal(size=(count, 16)), label


TRUE, GOOD, SWAPPED = cloud(60), cloud(40), cloud(40)
SETS = {"good": GOOD, "swapped": (SWAPPED[0], 1 - SWAPPED[1])}


@pytest.fixture(scope="module")
def places() -> dict[str, np.ndarray]:
    return embed(*TRUE, SETS)


def test_clusters_stay_apart_and_carry_their_classes(places: dict[str, np.ndarray]) -> None:
    assert list(places) == [REAL, "good", "swapped"] and all(place.dtype == np.float32 for place in places.values())
    assert {name: place.shape for name, place in places.items()} == {REAL: (60, 3), "good": (40, 3), "swapped": (40, 3)}
    assert (places["swapped"][:, 2] == SETS["swapped"][1]).all()
    middles = np.stack([places[REAL][places[REAL][:, 2] == label][:, :2].mean(0) for label in (0, 1)])
    for name, share in (("good", 1.0), ("swapped", 0.0)):
        away = np.linalg.norm(places[name][:, None, :2] - middles, axis=-1)
        assert (away.argmin(1) == places[name][:, 2]).mean() == share


def test_the_same_features_give_the_same_places(places: dict[str, np.ndarray]) -> None:
    again = embed(*TRUE, SETS)
    assert all((again[name] == places[name]).all() for name in places)


def test_a_limit_takes_first_items_and_thins_what_is_real() -> None:
    order = np.argsort(TRUE[1], kind="stable")  # class by class, as files have them
    few = embed(TRUE[0][order], TRUE[1][order], SETS, limit=20)
    assert {len(place) for place in few.values()} == {20}
    assert np.bincount(few[REAL][:, 2].astype(int)).tolist() == [10, 10]
    assert (few["good"][:, 2] == GOOD[1][:20]).all()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="good: 40 features and 39 classes"):
        embed(*TRUE, {"good": (GOOD[0], GOOD[1][:-1])})
    with pytest.raises(ValueError, match="called real"):
        embed(*TRUE, {REAL: GOOD})


def test_the_picture_has_a_panel_for_each_on_the_same_axes(places: dict[str, np.ndarray]) -> None:
    figure = embedding_figure(places, {"good": "Good, method"}, "A title", ("1", "8"))
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == ["real images", "Good, method", "swapped"]
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in shown}) == 1
    drawn = np.concatenate([np.asarray(part.get_offsets()) for part in shown[1].collections if len(part.get_offsets()) > 1])
    order = np.argsort(places["good"][:, 2], kind="stable")  # class by class
    np.testing.assert_allclose(drawn, places["good"][order, :2], atol=1e-5)
    stream = io.BytesIO()
    figure.savefig(stream, format="svg")
    text = stream.getvalue().decode()
    assert "A title" in text and "Good, method" in text and "8, real" in text


def test_a_class_of_few_real_images_has_no_contours() -> None:
    few = {REAL: np.array([[0, 0, 0], [1, 1, 1]], np.float32), "a": np.array([[0, 1, 0], [1, 0, 1]], np.float32)}
    assert len(embedding_figure(few, {}, "").axes) == 2

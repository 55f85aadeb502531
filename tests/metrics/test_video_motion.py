"""What is read off a video's pixels: places, ways, jitter and steadiness of videos whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from s2g.metrics.video_motion import consistency, displacement, jitter, paths, steadiness


def dot(places: list[tuple[float, float]], size: int = 16) -> np.ndarray:
    """A red square of 3 x 3 pixels on grey, [1, F, H, W, 3]: its middle at whole places."""
    video = np.full((1, len(places), size, size, 3), 128, np.uint8)
    for frame, (x, y) in enumerate(places):
        video[0, frame, int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = (250, 20, 20)
    return video


def test_places_are_where_the_object_is() -> None:
    way = [(4, 8), (6, 8), (8, 7), (10, 8)]
    np.testing.assert_allclose(paths(dot(way))[0], way)


def test_how_far_it_went_and_how_unsteadily() -> None:
    path = paths(dot([(4, 8), (6, 8), (8, 7), (10, 8)]))
    assert displacement(path)[0] == pytest.approx(6)
    assert jitter(path)[0] == pytest.approx((0.5 + 1.0) / 2)  # |8 - (8+7)/2| and |7 - (8+8)/2|
    assert jitter(paths(dot([(3, 5), (5, 6), (7, 7)])))[0] == pytest.approx(0)


def test_an_object_that_is_not_there_does_not_move() -> None:
    gone = np.full((2, 4, 16, 16, 3), 90, np.uint8)
    gone[1, 0] = dot([(4, 4)])[0, 0] - 38
    assert np.isnan(paths(gone)[0]).all() and displacement(paths(gone)).tolist() == [0, 0]
    assert np.isnan(jitter(paths(gone))).all()


def test_a_frame_without_the_object_does_not_end_its_way() -> None:
    video = dot([(4, 8), (6, 8), (8, 8), (10, 8)])
    for empty, far in ((0, 4), (3, 4), (1, 6)):
        some = video.copy()
        some[0, empty] = 128
        assert displacement(paths(some))[0] == pytest.approx(far) and np.isnan(jitter(paths(some))[0])


def test_an_object_at_the_border_does_not_become_the_ground() -> None:
    path = paths(dot([(1, 8), (1, 7), (1, 6), (1, 5)]))
    np.testing.assert_allclose(path[0, :, 0], 1)


def test_steadiness_is_one_minus_the_mean_difference() -> None:
    video = np.zeros((1, 3, 2, 2, 3), np.uint8)
    video[0, 1] = 51  # differences of 51 and 51
    assert steadiness(video)[0] == pytest.approx(1 - 51 / 255)
    video[0, 2] = 51  # of 51 and 0
    assert steadiness(video)[0] == pytest.approx(1 - 51 / 255 / 2)


def test_consistency_is_the_mean_of_both_cosines() -> None:
    features = np.array([[[1.0, 0], [1, 1], [0, 2], [-1, 0]]])
    half = np.sqrt(0.5)
    want = ((half + half) / 2 + (half + 0) / 2 + (0 + 0) / 2) / 3  # to the frame before and to the first; none below 0
    assert consistency(features)[0] == pytest.approx(want)
    assert consistency(np.ones((2, 5, 3))).tolist() == pytest.approx([1, 1])

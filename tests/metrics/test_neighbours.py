"""Nearest neighbours where they can be seen by eye."""

from __future__ import annotations

import numpy as np
import pytest

from s2g.metrics.neighbours import leave_one_out, nearest, read_by_neighbours

LINE = np.arange(10.0)[:, None]  # 0 to 4 of one class, 5 to 9 of the other
LABEL = np.repeat([3, 7], 5)


def test_the_majority_of_the_nearest_reads_the_class() -> None:
    queries = np.array([[-1.0], [4.4], [4.6], [100.0]])
    assert read_by_neighbours(LINE, LABEL, queries, 5).tolist() == [3, 3, 7, 7]
    assert read_by_neighbours(LINE, LABEL, queries, 1).tolist() == [3, 3, 7, 7]
    # Ten of ten are five of each: the smaller number wins.
    assert read_by_neighbours(LINE, LABEL, queries, 10).tolist() == [3] * 4
    one = np.where(np.arange(10) == 4, 7, LABEL)  # 4 changes sides
    assert read_by_neighbours(LINE, one, np.array([[3.9]]), 1).tolist() == [7]
    assert read_by_neighbours(LINE, one, np.array([[3.9]]), 5).tolist() == [7]  # 2 to 6: two of the one, three of the other
    assert read_by_neighbours(LINE, one, np.array([[2.9]]), 5).tolist() == [3]  # 1 to 5


def test_a_point_is_not_its_own_neighbour() -> None:
    assert leave_one_out(LINE * LINE, LABEL, 1) == 0.9  # 25 is nearer to 16 than to 36; 16 is nearer to 9
    apart = np.concatenate([LINE[:5], LINE[5:] + 100])
    assert leave_one_out(apart, LABEL, 3) == 1
    # In turn along a line, the nearest is of the other class.
    assert leave_one_out(LINE[1:-1], np.tile([0, 1], 4), 1) == 0


def test_classes_that_are_one_are_read_by_chance() -> None:
    random = np.random.default_rng(0)
    points, label = random.normal(size=(4000, 2)), np.arange(4000) % 2
    assert leave_one_out(points, label, 5) == pytest.approx(0.5, abs=0.03)


def test_the_nearest_is_by_hand() -> None:
    real = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert nearest(real, np.array([[0.0, 1.0], [3.0, 4.0], [6.0, 8.0]])) == pytest.approx([1, 0, 5])


@pytest.mark.parametrize("k", [0, 11])
def test_more_neighbours_than_points_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k = {k}"):
        read_by_neighbours(LINE, LABEL, LINE, k)
    with pytest.raises(ValueError, match=f"k = {k - 1 if k else 0}"):
        leave_one_out(LINE, LABEL, k - 1 if k else 0)

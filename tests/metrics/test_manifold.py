"""Precision, recall, density and coverage: by hand, by brute force, and by torch-fidelity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import calculate_precision_recall_full

from s2g.metrics import manifold
from s2g.metrics.manifold import Manifold, Reached, coverage, coverage_items, density, precision, recall, recall_items

REAL = np.array([[0.0], [1], [3], [10]])  # distances to the nearest other: 1, 1, 2, 7


def test_four_points_on_a_line_by_hand() -> None:
    np.testing.assert_array_equal(Manifold.of(REAL, 1).squared_radii, [1, 1, 4, 49])
    np.testing.assert_array_equal(Manifold.of(REAL, 2).squared_radii, [9, 4, 9, 81])
    fake = np.array([[-1.0], [2], [5], [-3]])
    # -1 lies on the border of 0's ball; 2 in those of 1 and 3; 5 in those of 3 (border) and 10; -3 in none
    np.testing.assert_array_equal(Manifold.of(REAL, 1).balls_of(fake), [1, 2, 2, 0])
    assert precision(REAL, fake, k=1) == 0.75 and density(REAL, fake, k=1) == 1.25 and coverage(REAL, fake, k=1) == 1.0
    # balls of fake: -1 by 2, 2 by 3, 5 by 3, -3 by 2; they hold 0, 1 and 3, not 10
    assert recall(REAL, fake, k=1) == 0.75
    assert coverage(REAL, fake[[0, 3]], k=1) == 0.25


def test_the_point_itself_is_no_neighbour_and_duplicates_are() -> None:
    twice = np.array([[0.0, 0], [0, 0], [3, 4]])
    np.testing.assert_array_equal(Manifold.of(twice, 1).squared_radii, [0, 0, 25])
    np.testing.assert_array_equal(Manifold.of(twice, 2).squared_radii, [25, 25, 25])
    np.testing.assert_array_equal(Manifold.of(twice, 1).balls_of(np.zeros((1, 2))), [3])
    for k in (0, 3):
        with pytest.raises(ValueError, match=f"k = {k} for 3 points"):
            Manifold.of(twice, k)


def test_far_from_zero_distances_keep_their_digits() -> None:
    """Without centering, 1e8 leaves of |a|^2 + |b|^2 - 2 ab no digit of a distance of 1."""
    for offset in (0.0, 1e6, 1e8):
        np.testing.assert_array_equal(Manifold.of(REAL + offset, 1).squared_radii, [1, 1, 4, 49])
        np.testing.assert_array_equal(
            Manifold.of(REAL + offset, 1).balls_of(np.array([[-1.0], [2], [5], [-3]]) + offset), [1, 2, 2, 0]
        )
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 7)), rng.normal(size=(30, 7))
    true = ((a[:, None] - b) ** 2).sum(-1)
    for offset in (0, 1e6):
        ((_, found),) = manifold.squared_distances(a + offset, b + offset)
        np.testing.assert_allclose(found, true, rtol=1e-8 if offset else 1e-12)


def brute(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    def radius(points: np.ndarray, i: int) -> float:
        return sorted(np.linalg.norm(points[i] - points[j]) for j in range(len(points)) if j != i)[k - 1]

    def inside(point: np.ndarray, points: np.ndarray) -> list[bool]:
        return [bool(np.linalg.norm(point - points[i]) <= radius(points, i)) for i in range(len(points))]

    of_fake, of_real = [inside(p, real) for p in fake], [inside(p, fake) for p in real]
    return (
        float(np.mean([any(row) for row in of_fake])),
        float(np.mean([any(row) for row in of_real])),
        float(np.sum(of_fake) / k / len(fake)),
        float(np.mean([any(row[i] for row in of_fake) for i in range(len(real))])),
    )


@pytest.mark.parametrize(("real", "fake", "size", "k"), [(30, 20, 3, 1), (20, 30, 8, 3), (12, 25, 2, 5)])
def test_agrees_with_loops_and_in_small_chunks(monkeypatch, real: int, fake: int, size: int, k: int) -> None:
    rng = np.random.default_rng(real)
    a, b = rng.normal(size=(real, size)), 0.8 * rng.normal(size=(fake, size)) + 0.3
    want = brute(a, b, k)
    for chunk in (manifold.CHUNK, 50):
        monkeypatch.setattr(manifold, "CHUNK", chunk)
        assert (precision(a, b, k), recall(a, b, k), density(a, b, k), coverage(a, b, k)) == pytest.approx(want)


def test_agrees_with_torch_fidelity() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(400, 16)), 0.9 * rng.normal(size=(300, 16)) + 0.2
    want = calculate_precision_recall_full(torch.from_numpy(fake), torch.from_numpy(real), 3)
    assert (precision(real, fake), recall(real, fake)) == pytest.approx(want)
    assert 0.2 < want[0] < 0.98 and 0.2 < want[1] < 0.98


def test_the_real_distribution_itself_has_density_and_coverage_as_published() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 2000, 8))
    assert density(real, fake) == pytest.approx(1, abs=0.05)
    # 1 - (M-1)...(M-k) / ((M+N-1)...(M+N-k)) with M = N (arXiv 2002.09797): 31/32 for k = 5 and many points
    assert coverage(real, fake) == pytest.approx(1 - 0.5**5, abs=0.015)


def test_coverage_merges_over_units() -> None:
    rng = np.random.default_rng(0)
    balls, fake = Manifold.of(rng.normal(size=(50, 3)), 3), rng.normal(size=(40, 3))
    one, other = (Reached(len(part), balls.reached_by(part)) for part in (fake[:15], fake[15:]))
    both = one.merge(other)
    assert both.count == 40
    np.testing.assert_array_equal(both.balls, balls.reached_by(fake))


@pytest.mark.parametrize(("name", "k"), [("coverage", 3), ("recall", 1), ("recall", 3)])
def test_items_are_the_pseudovalues_of_leaving_each_out(monkeypatch, name: str, k: int) -> None:
    rng = np.random.default_rng(k)
    real, fake = rng.normal(size=(60, 2)), 0.8 * rng.normal(size=(25, 2))
    whole, items_of = {
        "coverage": (coverage, lambda: coverage_items(Manifold.of(real, k), fake)),
        "recall": (recall, lambda: recall_items(real, fake, k)),
    }[name]
    left_out = np.array([whole(real, np.delete(fake, item, axis=0), k) for item in range(len(fake))])
    want = whole(real, fake, k) - 24 * (left_out - left_out.mean())
    assert np.ptp(left_out) > 0
    np.testing.assert_allclose(items_of(), want, atol=1e-12)
    monkeypatch.setattr(manifold, "CHUNK", 200)
    np.testing.assert_allclose(items_of(), want, atol=1e-12)


def test_recall_items_need_a_next_neighbour() -> None:
    with pytest.raises(ValueError, match="two less"):
        recall_items(REAL, REAL, 3)

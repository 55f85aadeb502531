"""bench=gmm on points whose distances from the mixture are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, ndtri
from scipy.stats import wasserstein_distance

from s2g.benchmarks.gmm.bench import GMM, sliced
from s2g.worlds.mixtures.mixture import Mixture
from s2g.worlds.mixtures.quasi_random import quasi_random

COUNT = 3000


def values(bench: GMM, points: np.ndarray) -> dict[str, float]:
    """Every metric of points [N, D]."""
    arrays = bench.measure(points, range(len(points)))
    found = {}
    for metric in bench.metrics:
        found[metric.name] = float(np.mean(metric.items(arrays))) if metric.items else metric.value(arrays)
    return found


def truth(bench: GMM, shift: float = 0.0, width: float = 1.0) -> np.ndarray:
    """Points in the bench's order, mode by mode, `shift` further out than the truth and `width` times as wide."""
    mixture, points = bench.mixture, []
    for label in range(bench.cycle):
        means = mixture.of(label)
        of = means[np.arange(COUNT) % len(means)]
        outwards = shift * of / np.linalg.norm(of, axis=1, keepdims=True)
        points.append(
            of + outwards + width * mixture.std * ndtri(quasi_random(np.arange(COUNT) // len(means), mixture.dimensions))
        )
    return np.stack(points, 1).reshape(-1, mixture.dimensions)


@pytest.mark.parametrize("bench", [GMM(8, "line", 0.5, "each"), GMM(8, "square", 1.0, "each"), GMM(8, "square", 0.5, "sides")])
def test_true_points_are_at_no_distance(bench: GMM) -> None:
    found = values(bench, truth(bench))
    assert found["w1"] < 0.02 and abs(found["energy"]) < 0.002
    assert found["outwards"] == pytest.approx(0, abs=0.01) and found["spread"] == pytest.approx(1, abs=0.02)
    expected = 100 * (0.0027 if bench.mixture.dimensions == 1 else np.exp(-4.5))
    assert found["right"] > 99.9 and found["beyond"] == pytest.approx(expected, abs=0.25)
    assert found["balance"] == pytest.approx(1, abs=0.01)


def test_a_shift_is_seen_as_a_shift() -> None:
    bench = GMM(8, "line", 0.5, "each")
    found = values(bench, truth(bench, shift=0.3))
    assert (found["outwards"], found["offset"], found["w1"]) == pytest.approx((0.3, 0.3, 0.3), abs=0.01)
    narrow = values(bench, truth(bench, width=0.5))
    assert narrow["spread"] == pytest.approx(0.5, abs=0.01)
    # W1 between normals of one mean is the difference of deviations times sqrt(2 / pi).
    assert narrow["w1"] == pytest.approx(0.25 * np.sqrt(2 / np.pi), abs=0.005)


def test_sliced_is_the_mean_over_directions_and_w1_is_scipys() -> None:
    mixture = Mixture.named("line", 0.5, "each")
    points = np.random.default_rng(0).normal(3.5, 0.8, (400, 1))
    exact = mixture.draw(1, 200_000)[:, 0]
    assert sliced(points, mixture, 1) == pytest.approx(wasserstein_distance(points[:, 0], exact), abs=2e-3)
    # A shift by t in the plane is |t| |cos| on a direction: its mean is 2 / pi |t|.
    plane = Mixture.named("square", 0.5, "each")
    shifted = plane.draw(3, 4000) + np.array([0.3, 0.4])
    assert sliced(shifted, plane, 3) == pytest.approx(0.5 * 2 / np.pi, abs=0.01)


def test_the_energy_distance_of_shifted_normals() -> None:
    bench = GMM(8, "line", 1.0, "each")
    points = np.stack([bench.mixture.draw(label, 512) + 1.0 for label in (0, 1)], 1).reshape(-1, 1)
    # X - Y ~ N(1, 2): E|X - Y| = 2 sqrt(1 / pi) exp(-1/4) + erf(1/2), by the folded normal.
    expected = 2 * (2 / np.sqrt(np.pi) * np.exp(-0.25) + erf(0.5)) - 2 * 2 / np.sqrt(np.pi)
    assert values(bench, points)["energy"] == pytest.approx(expected, abs=0.01)


def test_the_energy_distance_is_the_mean_over_all_pairs() -> None:
    bench = GMM(8, "square", 0.5, "each")
    points = np.random.default_rng(0).normal(0, 4, (40, 2))
    expected = []
    for label in range(4):
        own, true = points[label::4], bench.mixture.draw(label, 512)
        mean = [np.linalg.norm(a[:, None] - b[None], axis=-1).mean() for a, b in ((own, true), (own, own), (true, true))]
        expected.append(2 * mean[0] - mean[1] - mean[2])
    assert values(bench, points)["energy"] == pytest.approx(np.mean(expected), rel=1e-12)


def test_a_missing_mode_is_seen() -> None:
    bench = GMM(8, "square", 0.5, "sides")
    points = truth(bench)
    points[np.arange(len(points)) % 2 == 0] = np.array([-4.0, -4.0])  # class 0 has two modes
    found = values(bench, points)
    assert found["balance"] == 0 and found["right"] > 99.9


def test_points_in_the_middle_belong_to_nobody() -> None:
    bench = GMM(8, "line", 0.5, "each")
    found = values(bench, np.tile([[0.01], [0.01]], (100, 1)))
    assert found["beyond"] == 100 and found["right"] == 50

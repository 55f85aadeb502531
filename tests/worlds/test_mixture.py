"""Mixtures and even sequences against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from s2g.errors import UserError
from s2g.rng import Purpose, normal
from s2g.worlds.mixtures.mixture import Mixture, quantile
from s2g.worlds.mixtures.quasi_random import quasi_random, quasi_random_normal


def test_a_density_is_one_in_all_and_that_of_its_class() -> None:
    line = Mixture.named("line", 0.5, "each")
    whole, _ = quad(lambda x: line.density(np.array([[x]]))[0], -20, 20, points=[-4, 4])
    upper, _ = quad(lambda x: line.density(np.array([[x]]), 1)[0], 0, 20, points=[4])
    assert whole == pytest.approx(1) and upper == pytest.approx(1)
    square = Mixture.named("square", 1.0, "sides")
    at = np.array([[4.0, -4.0], [4.0, 0.0]])
    assert square.density(at)[0] == pytest.approx(1 / (4 * 2 * np.pi))
    assert square.density(at, 1)[0] == pytest.approx(1 / (2 * 2 * np.pi)) and square.density(at, 0)[0] < 1e-10
    assert square.density(at)[1] == pytest.approx(2 * np.exp(-8) / (4 * 2 * np.pi))


def test_quantiles_undo_the_distribution_function() -> None:
    shares = np.array([0.01, 0.3, 0.5001, 0.9])
    x = quantile(shares, [-1.0, 2.0], 0.7)
    assert ndtr((x[:, None] - np.array([-1.0, 2.0])) / 0.7).mean(1) == pytest.approx(shares, abs=1e-6)
    assert quantile(np.array([ndtr(1.0)]), [3.0], 2.0) == pytest.approx([5.0])


@pytest.mark.parametrize("dimensions", [1, 2])
def test_an_even_sequence_is_evener_than_chance_and_can_grow(dimensions: int) -> None:
    points, chance = quasi_random(np.arange(1024), dimensions), np.random.default_rng(0).random((1024, dimensions))
    boxes = 32 if dimensions == 1 else 8

    def worst(p: np.ndarray) -> float:
        counts, _ = np.histogramdd(p, bins=[boxes] * dimensions, range=[(0, 1)] * dimensions)
        return abs(counts / len(p) * boxes**dimensions - 1).max()

    assert worst(points) < 0.35 < worst(chance) if dimensions == 2 else worst(points) < 0.1 < worst(chance)
    assert (points[:100] == quasi_random(np.arange(100), dimensions)).all()
    golden = (np.sqrt(5) - 1) / 2
    if dimensions == 1:
        assert quasi_random(np.array([1]), 1, 0.0)[0, 0] == pytest.approx(golden)
    else:
        plastic = 1.324717957244746
        assert quasi_random(np.array([1]), 2, 0.0)[0] == pytest.approx([1 / plastic, 1 / plastic**2])


def test_even_noise_is_normal_within_each_class_and_its_own_by_seed() -> None:
    drawn = np.stack([quasi_random_normal(0, item, 4, (2,)) for item in range(4096)])
    for label in range(4):
        own = np.sort(drawn[label::4], axis=0)
        assert abs(ndtr(own) - (np.arange(1024)[:, None] + 0.5) / 1024).max() < 0.005
    assert (quasi_random_normal(1, 0, 4, (2,)) != drawn[0]).all() and (quasi_random_normal(0, 0, 2, (2,)) == drawn[0]).all()
    assert drawn.dtype == np.float32 == normal(Purpose.INITIAL_NOISE, 0, 0, (2,)).dtype


@pytest.mark.parametrize(
    ("place", "std", "classes", "said"),
    [("lin", 1.0, "each", "Did you mean 'line'"), ("line", 1.0, "sides", "each"), ("line", 0.0, "each", "more than 0")],
)
def test_mistakes_are_named(place: str, std: float, classes: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Mixture.named(place, std, classes)

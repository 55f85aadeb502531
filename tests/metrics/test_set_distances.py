"""MIND and CMMD against straight-line float64 computations, analytic cases, and leaving items out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from s2g.metrics.gaussian_discrepancy import gaussian_items
from s2g.metrics.sliced_wasserstein import sliced_items, unit_vectors


def drawn(count: int, width: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, width)) + shift).astype(np.float32)


def mind(fake: np.ndarray, real: np.ndarray, directions: np.ndarray) -> float:
    """The paper's formula with Python's sums; both sides repeated until they are equally many."""
    total = 0.0
    count = math.lcm(len(fake), len(real))
    for u in directions.tolist():
        sides = []
        for rows in (fake, real):
            values = sorted(sum(a * b for a, b in zip(row, u, strict=True)) for row in rows.astype(np.float64).tolist())
            sides.append([value for value in values for _ in range(count // len(values))])
        total += sum((x - y) ** 2 for x, y in zip(*sides, strict=True)) / count
    return 3 * fake.shape[1] * total / len(directions)


@pytest.mark.parametrize("count", [12, 8, 30, 5])
def test_mind_is_the_papers_formula_for_any_numbers_of_items(count: int) -> None:
    fake, real = drawn(12, 6, 0), drawn(count, 6, 1, shift=0.3)
    spec = mind(fake, real, unit_vectors(6, range(70)))
    assert sliced_items(fake, real, 70).mean() == pytest.approx(spec, rel=1e-12)


def test_a_shift_alone_is_three_times_its_square() -> None:
    fake, v = drawn(40, 5, 0).astype(np.float64), np.array([1.0, 0, 0, -2, 0.5])
    exact = 3 * 5 * ((unit_vectors(5, range(1000)) @ v) ** 2).mean()  # sorted values all move alike
    assert sliced_items(fake, fake + v).mean() == pytest.approx(exact, rel=1e-12)
    assert exact == pytest.approx(3 * v @ v, rel=0.1)  # of finitely many directions
    assert sliced_items(fake, fake[::-1]).mean() == pytest.approx(0, abs=1e-12)


def test_directions_are_unit_vectors_that_their_number_does_not_change() -> None:
    some, more = unit_vectors(7, range(3)), unit_vectors(7, range(120))
    assert np.array_equal(some, more[:3]) and np.allclose((more**2).sum(1), 1, atol=1e-12) and len(np.unique(more)) == 840


def cmmd(fake: np.ndarray, real: np.ndarray) -> float:
    """The authors' biased estimate, pair by pair."""

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        kernels = [
            math.exp(-sum((p - q) ** 2 for p, q in zip(x, y, strict=True)) / 200) for x in a.tolist() for y in b.tolist()
        ]
        return math.fsum(kernels) / len(kernels)

    fake, real = fake.astype(np.float64), real.astype(np.float64)
    return 1000 * (mean(fake, fake) + mean(real, real) - 2 * mean(fake, real))


def test_cmmd_is_the_authors_formula() -> None:
    fake, real = drawn(13, 8, 0), drawn(9, 8, 1, shift=0.5)
    fake, real = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (fake, real))
    assert gaussian_items(fake, real).mean() == pytest.approx(cmmd(fake, real), rel=1e-9)
    assert gaussian_items(fake, fake).mean() == pytest.approx(0, abs=1e-10)
    # Two points, d apart: 2 - 2 exp(-d^2 / 200).
    assert gaussian_items(np.array([[1.0, 0]]), np.array([[0, 1.0]])).mean() == pytest.approx(
        2000 * (1 - math.exp(-0.01)), rel=1e-9
    )


@pytest.mark.slow("leaves out every item")
@pytest.mark.parametrize("items", [sliced_items, gaussian_items])
def test_what_an_item_adds_is_what_leaving_it_out_takes_away(items) -> None:
    fake, real = drawn(60, 4, 0), drawn(45, 4, 1, shift=0.4)
    found = items(fake, real)
    value = found.mean()
    pseudo = np.array([60 * value - 59 * items(np.delete(fake, at, 0), real).mean() for at in range(60)])
    assert np.corrcoef(found, pseudo)[0, 1] > 0.995
    assert np.ptp(found) == pytest.approx(np.ptp(pseudo), rel=0.1)

"""Fréchet distance and the Inception-style score against closed forms and other implementations."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
import torch
from scipy import linalg
from torchmetrics.image.fid import _compute_fid

from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.inception_score import inception_style, inception_style_items


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Moments:
    return Moments.stored(mean, covariance, 1000)


def random_moments(seed: int, size: int) -> Moments:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    return gaussian(rng.normal(size=size), root @ root.T / size + 0.1 * np.eye(size))


def test_isotropic_gaussians_have_the_textbook_distance() -> None:
    size = 7
    a = gaussian(np.zeros(size), 4.0 * np.eye(size))
    b = gaussian(np.full(size, 0.5), 9.0 * np.eye(size))
    assert frechet_distance(a, b) == pytest.approx(size * 0.25 + size * (2 - 3) ** 2, rel=1e-12)


def test_diagonal_gaussians_have_the_textbook_distance() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([0.5, 5.0, 0.01])
    got = frechet_distance(gaussian(np.zeros(3), np.diag(a)), gaussian(np.ones(3), np.diag(b)))
    assert got == pytest.approx(3 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("size", [2, 16, 64])
def test_agrees_with_the_matrix_square_root_and_torchmetrics(size: int) -> None:
    a, b = random_moments(1, size), random_moments(2, size)
    root = linalg.sqrtm(a.covariance @ b.covariance)
    difference = a.mean - b.mean
    # torch-fidelity's formula: |d|^2 + tr A + tr B - 2 tr sqrtm(AB)
    fidelity = difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.trace(np.real(root))
    tensors = [torch.from_numpy(v) for v in (a.mean, a.covariance, b.mean, b.covariance)]
    assert frechet_distance(a, b) == pytest.approx(fidelity, rel=1e-6)
    assert frechet_distance(a, b) == pytest.approx(float(_compute_fid(*tensors)), rel=1e-6)


def test_moments_are_numpys_and_few_samples_do_no_harm() -> None:
    features = np.random.default_rng(0).normal(size=(10, 40)).astype(np.float32) + 1000
    moments = Moments.of(features)
    np.testing.assert_allclose(moments.covariance, np.cov(features.astype(np.float64), rowvar=False))
    assert frechet_distance(moments, moments) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="1 feature rows"):
        _ = Moments.of(features[:1]).covariance
    with pytest.raises(ValueError, match="at least 1"):
        Moments.of(features[:0])


def exact_covariance(rows: np.ndarray) -> np.ndarray:
    """Unbiased covariance in rational arithmetic, rounded once."""
    exact = [[Fraction(float(v)) for v in row] for row in rows]
    n, size = len(exact), len(exact[0])
    mean = [sum(row[d] for row in exact) / n for d in range(size)]
    about = [[row[d] - mean[d] for d in range(size)] for row in exact]
    return np.array([[float(sum(r[i] * r[j] for r in about) / (n - 1)) for j in range(size)] for i in range(size)])


@pytest.mark.parametrize("offset", [0, 1e6, 1e8])
@pytest.mark.parametrize("count", [3, 40], ids=["fewer rows than features", "more"])
@pytest.mark.parametrize("cuts", [1, 2, 7], ids=["one row a part", "two", "seven"])
def test_merged_equals_whole_far_from_zero(offset: float, count: int, cuts: int) -> None:
    tolerance = np.finfo(float).eps * max(offset, 16)  # what rounding of the mean costs; raw sums lose its square
    rows = np.random.default_rng(3).normal(size=(count, 6)) + offset
    want = exact_covariance(rows)
    parts = [Moments.of(rows[i : i + cuts]) for i in range(0, count, cuts)]
    for merged in (reduce(Moments.merge, parts), reduce(Moments.merge, parts[::-1]), Moments.of(rows)):
        assert merged.count == count
        np.testing.assert_allclose(merged.mean, rows.mean(0), rtol=1e-15, atol=1e-15)
        np.testing.assert_allclose(merged.covariance, want, rtol=0, atol=tolerance)
    np.testing.assert_allclose(want, np.cov(rows - offset, rowvar=False), rtol=0, atol=tolerance)
    naive = (rows.T @ rows - count * np.outer(rows.mean(0), rows.mean(0))) / (count - 1)
    assert offset == 0 or np.abs(naive - want).max() > 1e4 * tolerance  # sums of outer products would not do


def test_stored_moments_come_back() -> None:
    moments = Moments.of(np.random.default_rng(0).normal(size=(50, 4)))
    back = Moments.stored(moments.mean, moments.covariance, moments.count)
    np.testing.assert_allclose(back.covariance, moments.covariance, rtol=1e-15)
    other = Moments.of(np.random.default_rng(1).normal(size=(7, 4)))
    np.testing.assert_allclose(back.merge(other).covariance, moments.merge(other).covariance, rtol=1e-14)


def test_inception_style_score_between_one_and_the_number_of_classes() -> None:
    certain = np.eye(5).repeat(3, axis=0)
    assert inception_style(certain) == pytest.approx(5, rel=1e-9)
    assert inception_style(np.full((20, 5), 0.2)) == pytest.approx(1)
    rows = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    marginal = rows.mean(0)
    want = np.exp(np.mean([(row * np.log(row / marginal)).sum() for row in rows]))
    assert inception_style(rows) == pytest.approx(want, rel=1e-12)


def test_inception_style_items_are_what_leaving_out_changes_to_first_order() -> None:
    rows = np.random.default_rng(2).dirichlet(np.ones(4), 400)
    items, whole = inception_style_items(rows), inception_style(rows)
    left_out = np.array([inception_style(np.delete(rows, item, axis=0)) for item in range(40)])
    assert items.mean() == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(399 * (whole - left_out), (items - whole)[:40], atol=0.02 * items.std())

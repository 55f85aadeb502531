"""Fréchet distance between Gaussians fitted to features (arXiv 1706.08500)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Count, mean [D] and scatter [D, D] (sum of outer products about the mean) of feature rows, float64.

    Kept about the mean instead of about zero: sums and raw outer products lose every digit of the covariance where
    features lie far from zero, and what is lost cannot be had back when parts are merged.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @staticmethod
    def of(features: np.ndarray) -> Moments:
        """Compute the moments of features [N, D]; ValueError without any row."""
        if features.ndim != 2 or not len(features):
            raise ValueError(f"features of shape {features.shape}: moments need [N, D] with N of at least 1")
        features = features.astype(np.float64)
        mean = features.mean(0)
        centred = features - mean
        return Moments(len(features), mean, centred.T @ centred)

    @staticmethod
    def streamed(blocks: Iterable[np.ndarray]) -> Moments:
        """Compute the moments of features [n, D] given block by block, in the memory of one scatter and one block.

        The update is `merge`'s; the shift of the mean joins the block as one more row, so that a block costs one
        product. ValueError without any rows.
        """
        count, mean, scatter = 0, np.zeros(0), np.zeros((0, 0))
        for block in blocks:
            if not len(block):
                continue
            rows = np.asarray(block, np.float64)
            own = rows.mean(0)
            if not count:
                mean, scatter = np.zeros_like(own), np.zeros((len(own), len(own)))
            between = own - mean
            shift = between * np.sqrt(count * len(rows) / (count + len(rows)))
            rows = np.vstack([rows - own, shift])
            scatter += rows.T @ rows
            count += len(block)
            mean = mean + between * (len(block) / count)
        if not count:
            raise ValueError("no features: moments need one row")
        return Moments(count, mean, scatter)

    @staticmethod
    def stored(mean: np.ndarray, covariance: np.ndarray, count: int) -> Moments:
        """Return the moments of `count` rows from mean [D] and unbiased covariance [D, D], as reference files hold them."""
        return Moments(int(count), mean.astype(np.float64), covariance.astype(np.float64) * (int(count) - 1))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows (the update of Chan, Golub and LeVeque 1979, for vectors)."""
        count = self.count + other.count
        between = other.mean - self.mean
        mean = self.mean + between * (other.count / count)
        scatter = self.scatter + other.scatter + np.outer(between, between) * (self.count * other.count / count)
        return Moments(count, mean, scatter)

    @property
    def covariance(self) -> np.ndarray:
        """Return the unbiased covariance [D, D]; ValueError below two rows."""
        if self.count < 2:
            raise ValueError(f"{self.count} feature rows: a covariance needs two")
        return self.scatter * (1 / (self.count - 1))

    @cached_property
    def root(self) -> np.ndarray:
        """Return the symmetric root of the covariance [D, D], cached: a reference is compared with many runs."""
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def frechet_distance(a: Moments, b: Moments, roots: tuple[np.ndarray, np.ndarray] | None = None) -> float:
    """Return |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)).

    The trace of the root is the sum of the singular values of A^(1/2) B^(1/2): no complex part to throw away, and
    fewer samples than dimensions do no harm. roots: the covariances' own, where they are not to be kept.
    """
    one, two = roots or (a.root, b.root)
    overlap = np.linalg.svd(one @ two, compute_uv=False).sum()
    difference = a.mean - b.mean
    return float(difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap)


def not_a_covariance(matrix: np.ndarray, tolerance: float = 1e-6) -> str:
    """Say why a matrix [D, D] is no covariance, "" if it may be one; `tolerance` is relative to its Frobenius norm.

    Rounding to float32 moves an eigenvalue by up to 6e-8 of that norm.
    """
    slack = tolerance * float(np.linalg.norm(matrix)) + np.finfo(np.float64).tiny
    if (apart := float(np.abs(matrix - matrix.T).max())) > slack:
        return f"it is not symmetric (two opposite entries differ by {apart:.3g})"
    if (least := float(matrix.diagonal().min())) < -slack:
        return f"it has a negative variance ({least:.3g})"
    try:  # a tenth of the time of the eigenvalues
        np.linalg.cholesky((matrix + matrix.T) / 2 + slack * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        return "it has a negative eigenvalue"
    return ""


def lean_root(moments: Moments) -> np.ndarray:
    """Return `Moments.root` in half the memory, uncached; equal to rounding."""
    values, vectors = _eigh_in_place(moments.covariance)
    vectors *= values.clip(0) ** 0.25
    return vectors @ vectors.T


def _eigh_in_place(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues and vectors of a matrix, overwriting it: numpy's holds a copy and a workspace of two more."""
    from scipy.linalg import eigh  # not before it is needed

    return eigh(symmetric.T, overwrite_a=True, check_finite=False, driver="evr")


def transport(a: Moments, root: np.ndarray) -> np.ndarray:
    """Return the symmetric map [D, D] that takes the covariance of a to B, given B's root; only on the span of a.

    B^(1/2) (B^(1/2) A B^(1/2))^(-1/2) B^(1/2): the distance's derivative by A is 1 minus it.
    """
    values, vectors = _eigh_in_place(root @ a.covariance @ root)
    least = values.max() * len(values) * np.finfo(np.float64).eps
    across = root @ vectors
    del vectors
    across *= np.where(values > least, values.clip(least or 1.0), np.inf) ** -0.25
    return across @ across.T

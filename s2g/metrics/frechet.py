"""Fréchet distance between Gaussians fitted to features (arXiv 1706.08500)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Mean [D] and unbiased covariance [D, D] of features, float64."""

    mean: np.ndarray
    covariance: np.ndarray

    @staticmethod
    def of(features: np.ndarray) -> Moments:
        """Moments of features [N, D]; ValueError below two rows, where a covariance means nothing."""
        if len(features) < 2:
            raise ValueError(f"{len(features)} feature rows: a covariance needs two")
        features = features.astype(np.float64)
        return Moments(features.mean(0), np.cov(features, rowvar=False).reshape(features.shape[1], -1))


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)).

    The trace of the root is the sum of the singular values of A^(1/2) B^(1/2): no complex part to throw away, and
    fewer samples than dimensions do no harm.
    """
    overlap = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    difference = a.mean - b.mean
    return float(difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T

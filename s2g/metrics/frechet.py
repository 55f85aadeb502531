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

    The trace of the root is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric: no complex part to throw away,
    and fewer samples than dimensions do no harm.
    """
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ b.covariance @ root).clip(0)
    difference = a.mean - b.mean
    return float(difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(inner).sum())

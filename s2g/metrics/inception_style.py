"""The Inception Score's formula (arXiv 1606.03498) on any classifier's probabilities."""

from __future__ import annotations

import numpy as np


def inception_style(probabilities: np.ndarray) -> float:
    """exp of the mean divergence of p(y|x) from p(y), for [N, K] rows that sum to 1; between 1 and K, one split."""
    p = probabilities.astype(np.float64).clip(1e-16)
    p /= p.sum(1, keepdims=True)
    marginal = p.mean(0)
    return float(np.exp((p * (np.log(p) - np.log(marginal))).sum(1).mean()))

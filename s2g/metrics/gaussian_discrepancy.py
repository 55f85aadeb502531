"""The maximum mean discrepancy with a Gaussian kernel, CMMD in CLIP's embeddings (arXiv 2401.09603).

    CMMD = 1000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y)),  k(a, b) = exp(-|a - b|^2 / (2 sigma^2)),  sigma = 10

Means are over all pairs, an item with itself included, as in the authors' code (google-research/google-research, cmmd):
never below zero, and biased by about 2 / N of the kernel's variation.
"""

from __future__ import annotations

import numpy as np

from s2g.metrics.manifold import squared_distances

SIGMA, SCALE = 10.0, 1000.0


def gaussian_items(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is CMMD of fake [N, D] from real [M, D]: CMMD plus what each item, to first order, adds.

    Rows are of unit length.
    """
    fake, real = fake.astype(np.float64), real.astype(np.float64)
    own, across, of_real = _mean_kernel(fake, fake), _mean_kernel(fake, real), _mean_kernel(real, real)
    change = 2 * (own - across)
    return SCALE * (own.mean() + of_real.mean() - 2 * across.mean() + change - change.mean())


def _mean_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return each row's mean kernel [N] with all rows of b [M, D]."""
    return np.concatenate([np.exp(-part / (2 * SIGMA**2)).mean(1) for _, part in squared_distances(a, b)])

"""The kernel distance, KID in Inception's features (arXiv 1801.01401): unbiased at any number of items."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from s2g.metrics.inception_score import splits

SUBSET = 1000  # items; torch-fidelity and the paper's code draw subsets of as many at random


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (a b / D + 1)^3 of rows [N, D] and [M, D]: [N, M], float64."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def kernel_items_of(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is the unbiased squared maximum mean discrepancy of fake [N, D] and real [M, D].

    Each is the distance with what its item, to first order, adds to it. Both sets have two rows at least.
    """
    fake, real = fake.astype(np.float64), real.astype(np.float64)
    n, m = len(fake), len(real)
    own = kernel(fake, fake)
    of_fake = (own.sum(1) - np.diag(own)) / (n - 1)
    across = kernel(fake, real).mean(1)
    of_real = kernel(real, real)
    distance = of_fake.mean() + (of_real.sum() - np.trace(of_real)) / (m * (m - 1)) - 2 * across.mean()
    change = 2 * (of_fake - across)
    return distance + change - change.mean()


def kernel_items(features: Iterable[np.ndarray], num: int, real: np.ndarray, subset: int = SUBSET) -> np.ndarray:
    """Return [num] numbers whose mean is the distance of consecutive subsets from subsets of real [M, D], averaged by items.

    Consecutive instead of drawn (ours): the same number each time, and each item in one subset. A last item that would be
    alone joins the subset before it. Subset i is held against the i-th of real, from the first again after the last.
    """
    parts, whole = [], max(1, len(real) // subset)
    before = np.empty((0, 0))

    def measured(part: np.ndarray) -> None:
        first = len(parts) % whole * subset
        parts.append(kernel_items_of(part, real[first : first + subset]))

    for part in splits(features, num, subset):
        if len(part) == 1 and len(before):
            before = np.concatenate([before, part])
            continue
        if len(before):
            measured(before)
        before = part
    measured(before)
    return np.concatenate(parts)

"""The sliced Wasserstein distance as MIND has it, in Inception's features (arXiv 2605.06797): no covariance is estimated.

    MIND = 3 D mean over directions u of W2^2(u . fake, u . real)

In one dimension W2^2 is the mean squared difference of sorted values. 3 D is the paper's: D undoes the average over
directions, so that sets that are shifted by a vector v are 3 |v|^2 apart. Paper and torch-fidelity compare equally many
items; for others we keep all items and compare quantiles, which is the same formula where the numbers are equal.
"""

from __future__ import annotations

import numpy as np

from s2g.rng import Purpose, normal

DIRECTIONS = 1000  # torch-fidelity's default; its directions are torch's, ours are our own streams
AT_ONCE = 50  # directions: projections of 50,000 items are 20 MB
ROWS = 4096  # items projected at once


def sliced_items(fake: np.ndarray, real: np.ndarray, directions: int = DIRECTIONS) -> np.ndarray:
    """Return [N] numbers whose mean is MIND of fake [N, D] from real [M, D]: MIND plus what each item, to first order, adds.

    To first order W2^2 changes with an item by its Kantorovich potential, whose slope at x is twice x less where x goes.
    """
    width = fake.shape[1]
    found = np.zeros(len(fake))
    for start in range(0, directions, AT_ONCE):
        vectors = unit_vectors(width, range(start, min(start + AT_ONCE, directions)))
        for own, of_real in zip(_projected(fake, vectors), _projected(real, vectors), strict=True):
            found += _items(own, np.sort(of_real))
    return found * (3 * width / directions)


def unit_vectors(width: int, numbers: range) -> np.ndarray:
    """Return the unit vectors [P, D] of these numbers, float64, each from a stream of its own."""
    vectors = np.stack([normal(Purpose.DIRECTION, 0, number, (width,)) for number in numbers]).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _projected(features: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return features [N, D] along vectors [P, D]: [P, N], float64."""
    parts = [vectors @ features[at : at + ROWS].astype(np.float64).T for at in range(0, len(features), ROWS)]
    return np.concatenate(parts, axis=1)


def _items(own: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is W2^2 of values [N] from sorted values [M], each with what its item adds to it."""
    order = np.argsort(own, kind="stable")
    x, n, m = own[order], len(own), len(real)
    if n == m:
        distance = ((x - real) ** 2).mean()
    else:  # item i stands for quantiles i/n to (i + 1)/n, over which real values are a staircase
        ends, knots = np.arange(n + 1) / n, np.arange(m + 1) / m
        first, second = (np.diff(np.interp(ends, knots, np.append(0.0, np.cumsum(part) / m))) * n for part in (real, real**2))
        distance = (x**2 - 2 * x * first + second).mean()
    ranks = np.arange(1, n, dtype=np.int64) * m
    border = (real[(ranks - 1) // n] + real[np.minimum(ranks // n, m - 1)]) / 2  # where what lies between two items goes
    potential = np.append(0.0, np.cumsum(np.diff(x**2) - 2 * border * np.diff(x)))
    found = np.empty(n)
    found[order] = distance + potential - potential.mean()
    return found

"""Classes by nearest neighbours in features: what a plot's separate clusters are as a number (Fix and Hodges 1951).

Distances are Euclidean, in float64. Of equal votes the class with the smaller number wins: with two classes and an odd k
there are none.
"""

from __future__ import annotations

import numpy as np

from s2g.metrics.manifold import squared_distances


def read_by_neighbours(real: np.ndarray, label: np.ndarray, queries: np.ndarray, k: int = 5) -> np.ndarray:
    """Return the majority class [N] of the k nearest of real [M, D] with classes [M]; ValueError unless 1 <= k <= M."""
    if not 1 <= k <= len(real):
        raise ValueError(f"k = {k} for {len(real)} points: between 1 and the points")
    found = np.empty(len(queries), label.dtype)
    for rows, distances in squared_distances(queries.astype(np.float64), real.astype(np.float64)):
        found[rows] = _majority(label, distances, k)
    return found


def leave_one_out(points: np.ndarray, label: np.ndarray, k: int = 5) -> float:
    """Return the share of points [N, D] with k nearest others of mostly the point's own class [N]; k < N.

    1 where classes are apart; two classes that are one have the share of the larger class or less. It sees no reference:
    classes that are apart and both wrong have 1 as well.
    """
    if not 1 <= k < len(points):
        raise ValueError(f"k = {k} for {len(points)} points: between 1 and one less than the points")
    points, right = points.astype(np.float64), 0
    for rows, distances in squared_distances(points, points):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.start + len(distances))] = np.inf  # itself
        right += int((_majority(label, distances, k) == label[rows]).sum())
    return right / len(points)


def nearest(real: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the distance [N] of queries [N, D] to the nearest of real [M, D]."""
    parts = [
        np.sqrt(distances.min(1)) for _, distances in squared_distances(queries.astype(np.float64), real.astype(np.float64))
    ]
    return np.concatenate(parts)


def _majority(label: np.ndarray, distances: np.ndarray, k: int) -> np.ndarray:
    votes = label[np.argpartition(distances, k - 1, axis=1)[:, :k]]
    classes = np.unique(label)
    return classes[(votes[..., None] == classes).sum(1).argmax(-1)]

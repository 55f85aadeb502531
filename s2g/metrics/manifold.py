"""Precision and recall (arXiv 1904.06991), density and coverage (arXiv 2002.09797) of features.

A set of points stands for its manifold: the union of balls around each point that reach to its k-th nearest other
point. Distances are Euclidean, in float64, and a point on the border is inside, as in both papers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK = 2**23  # distances held at once: 64 MiB
FAR = 1e4  # squared distance from zero over variance; below, centering would change nothing but the last of 16 digits


@dataclass(frozen=True)
class Manifold:
    """Centres [M, D] and squared radii [M] of the balls."""

    points: np.ndarray
    squared_radii: np.ndarray

    @staticmethod
    def of(points: np.ndarray, k: int) -> Manifold:
        """Compute the manifold of points [M, D]; ValueError unless 1 <= k < M.

        Time grows as M^2 D: seconds for 10,000 points of 64 features on a core, minutes for 50,000 of 2,048.
        """
        if not 1 <= k < len(points):
            raise ValueError(f"k = {k} for {len(points)} points: between 1 and one less than the points")
        points = points.astype(np.float64)
        squared = np.empty(len(points))
        for rows, distances in squared_distances(points, points):
            distances[np.arange(len(distances)), np.arange(rows.start, rows.start + len(distances))] = np.inf  # itself
            squared[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
        return Manifold(points, squared)

    def balls_of(self, queries: np.ndarray) -> np.ndarray:
        """Count the balls that hold each of queries [N, D]; [N] integers."""
        found = np.empty(len(queries), np.int64)
        for rows, distances in squared_distances(queries.astype(np.float64), self.points):
            found[rows] = (distances <= self.squared_radii).sum(1)
        return found

    def reached_by(self, queries: np.ndarray) -> np.ndarray:
        """Return which balls hold at least one of queries [N, D]; [M] booleans."""
        found = np.zeros(len(self.points), bool)
        for _, distances in squared_distances(queries.astype(np.float64), self.points):
            found |= (distances <= self.squared_radii).any(0)
        return found


@dataclass(frozen=True)
class Reached:
    """Which balls of the real manifold some items reach [M], so that coverage merges over units."""

    count: int
    balls: np.ndarray

    def merge(self, other: Reached) -> Reached:
        """Return which balls either set of items reaches."""
        return Reached(self.count + other.count, self.balls | other.balls)


def precision(real: np.ndarray, fake: np.ndarray, k: int = 3) -> float:
    """Return the share of fake [N, D] inside the manifold of real [M, D]; k = 3 is the paper's."""
    return float((Manifold.of(real, k).balls_of(fake) > 0).mean())


def recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> float:
    """Return the share of real [M, D] inside the manifold of fake [N, D]; grows with N, so only equal N compare."""
    return float((Manifold.of(fake, k).balls_of(real) > 0).mean())


def density(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
    """Count balls of real [M, D] around each of fake [N, D], over k; 1 expected of real ones, and it can exceed 1."""
    return float(Manifold.of(real, k).balls_of(fake).mean() / k)


def coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
    """Return the share of balls of real [M, D] that hold one of fake [N, D]; grows with N, so only equal N compare."""
    return float(Manifold.of(real, k).reached_by(fake).mean())


def coverage_items(manifold: Manifold, fake: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is the coverage of a manifold by fake [N, D], each with what leaving it out changes."""
    times = np.zeros(len(manifold.points), np.int64)
    parts = []
    for _, distances in squared_distances(fake.astype(np.float64), manifold.points):
        parts.append(distances <= manifold.squared_radii)
        times += parts[-1].sum(0)
    alone = np.concatenate([part[:, times == 1].sum(1) for part in parts])  # balls that no other item reaches
    return _as_items(float((times > 0).mean()), alone / len(times))


def recall_items(real: np.ndarray, fake: np.ndarray, k: int = 3) -> np.ndarray:
    """Return [N] numbers whose mean is the recall of real [M, D] by fake [N, D], each with what leaving it out changes.

    Its own ball goes, and the balls of those that it is near grow to their next neighbour. ValueError unless k + 1 < N.
    """
    if not 1 <= k < len(fake) - 1:
        raise ValueError(f"k = {k} for {len(fake)} points: between 1 and two less than the points")
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    next_to, radii, grown = (np.empty((len(fake), k), np.int64), *np.empty((2, len(fake))))
    for rows, distances in squared_distances(fake, fake):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.start + len(distances))] = np.inf
        order = np.argpartition(distances, (k - 1, k), axis=1)
        next_to[rows] = order[:, :k]
        radii[rows], grown[rows] = np.take_along_axis(distances, order[:, k - 1 : k + 1], 1).T
    seldom, times = [], []  # what a real point loses: only those in at most one ball can
    for _, distances in squared_distances(real, fake):
        inside = distances <= radii
        times.append(inside.sum(1))
        few = times[-1] < 2
        seldom.append((inside[few], distances[few] <= grown))
    inside, larger = (np.concatenate(each) for each in zip(*seldom, strict=True))
    change = np.empty(len(fake))
    free = ~inside.any(1)
    for item in range(len(fake)):
        near = larger[:, (next_to == item).any(1)].any(1)
        change[item] = (inside[:, item] & ~near).sum() - (free & near).sum()
    return _as_items(float((np.concatenate(times) > 0).mean()), change / len(real))


def _as_items(value: float, change: np.ndarray) -> np.ndarray:
    """Return the jackknife's pseudovalues about a value, from how much it falls when each item [N] is left out."""
    return value + (len(change) - 1) * (change - change.mean())


def squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows of a [N, D] with their squared distances to b [M, D], a chunk at a time; both float64.

    |a|^2 + |b|^2 - 2 ab is one matrix product, tens of times faster than differences, and errs by 1e-16 of the squared
    norms. Points far from zero, compared with their spread, are therefore centered first.
    """
    center = b.mean(0)
    if center @ center > FAR * b.var(0).sum():
        a, b = a - center, b - center
    norms = (b * b).sum(1)
    size = max(1, CHUNK // max(1, len(b)))
    for start in range(0, len(a), size):
        part = a[start : start + size]
        distances = part @ b.T
        distances *= -2
        distances += (part * part).sum(1)[:, None]
        distances += norms
        yield slice(start, start + size), np.maximum(distances, 0, out=distances)

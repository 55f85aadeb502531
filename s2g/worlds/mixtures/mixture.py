"""Isotropic Gaussian mixtures with classes: densities, quantiles and samples, in closed form.

K modes, D dimensions, C classes. The paper (Section 3.1, Appendix B.1.3) gives the means alone; spread and classes are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from s2g.errors import UserError, unknown
from s2g.worlds.mixtures.quasi_random import quasi_random

PLACES: dict[str, tuple[tuple[float, ...], ...]] = {
    "line": ((-4.0,), (4.0,)),
    "square": ((-4.0, -4.0), (-4.0, 4.0), (4.0, -4.0), (4.0, 4.0)),
}
CLASSES: dict[str, dict[str, tuple[int, ...]]] = {  # place -> name of an assignment -> class of each mode
    "line": {"each": (0, 1)},
    "square": {"each": (0, 1, 2, 3), "sides": (0, 0, 1, 1), "diagonals": (0, 1, 1, 0)},
}
GRID = 20_001  # points on which a mixture's quantiles are looked up


@dataclass(frozen=True)
class Mixture:
    """Equally weighted modes of one standard deviation, each of a class."""

    means: np.ndarray  # [K, D]
    std: float
    labels: np.ndarray  # [K], class of each mode

    @staticmethod
    def named(place: str, std: float, classes: str) -> Mixture:
        """Build "line" or "square", one mode a class ("each") or two ("sides", "diagonals"); UserError for another name."""
        if place not in PLACES:
            raise unknown("model.network.place", place, PLACES)
        if classes not in CLASSES[place]:
            raise unknown("model.network.classes", classes, CLASSES[place])
        if not std > 0:
            raise UserError(f"model.network.std = {std}", allowed="more than 0")
        return Mixture(np.array(PLACES[place]), std, np.array(CLASSES[place][classes]))

    @property
    def dimensions(self) -> int:
        """D."""
        return self.means.shape[1]

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.labels.max()) + 1

    def of(self, label: int) -> np.ndarray:
        """Return means [k, D] of a class's modes."""
        return self.means[self.labels == label]

    def density(self, points: np.ndarray, label: int | None = None) -> np.ndarray:
        """Return density [N] at points [N, D], of one class or of all."""
        means = self.means if label is None else self.of(label)
        squares = ((points[:, None] - means) ** 2).sum(-1) / (2 * self.std**2)
        return np.exp(-squares).mean(1) / (2 * np.pi * self.std**2) ** (self.dimensions / 2)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Return mode [N] nearest to each of points [N, D]."""
        return ((points[:, None] - self.means) ** 2).sum(-1).argmin(1)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return distance [N] of points [N, D] from the nearest mode's mean, in standard deviations."""
        return np.sqrt(((points[:, None] - self.means) ** 2).sum(-1).min(1)) / self.std

    def draw(self, label: int, count: int) -> np.ndarray:
        """Draw points [count, D] of a class: a low-discrepancy sequence through the normal quantile, modes in turn."""
        means = self.of(label)
        places = quasi_random(np.arange(count) // len(means), self.dimensions)
        return means[np.arange(count) % len(means)] + self.std * ndtri(places)


def quantile(shares: np.ndarray, means: Sequence[float] | np.ndarray, std: float) -> np.ndarray:
    """Return quantiles of an equally weighted 1-D mixture: where its distribution function is `shares`."""
    means_array = np.asarray(means, dtype=np.float64)
    if len(means_array) == 1:
        return means_array[0] + std * ndtri(shares)
    return np.interp(shares, *_looked_up(tuple(means_array.tolist()), std))


@lru_cache(maxsize=256)
def _looked_up(means: tuple[float, ...], std: float) -> tuple[np.ndarray, np.ndarray]:
    """Tabulate the distribution function [GRID] of a 1-D mixture, and its arguments [GRID]."""
    x = np.linspace(min(means) - 8 * std, max(means) + 8 * std, GRID)
    return ndtr((x[:, None] - np.array(means)) / std).mean(1), x

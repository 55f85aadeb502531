"""Low-discrepancy sequences: they cover a space more evenly than random points, so that chance blurs results less."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import ndtri

from s2g.rng import Purpose, uniform


@cache
def _steps(dimensions: int) -> np.ndarray:
    """Return the recurrence's steps: powers of 1 / phi_d, phi_d^(d+1) = phi_d + 1 (golden ratio for d = 1, R2 for 2)."""
    phi = 2.0
    for _ in range(80):
        phi = (1 + phi) ** (1 / (dimensions + 1))
    return phi ** -np.arange(1.0, dimensions + 1)


def quasi_random(index: np.ndarray, dimensions: int, shift: np.ndarray | float = 0.5) -> np.ndarray:
    """Return low-discrepancy points [N, D] in (0, 1) by index [N]: each depends only on its index, so a set can grow."""
    places = np.mod(np.asarray(index, dtype=np.float64)[:, None] * _steps(dimensions) + shift, 1.0)
    return places.clip(2.0**-53, 1 - 2.0**-53)


def quasi_random_normal(seed: int, item: int, cycle: int, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normal float32 of `shape` for one item: items i, i + cycle, ... form a low-discrepancy sequence.

    The seed and the item's place in the cycle shift the sequence (Cranley and Patterson 1976): seeds and prompts differ.
    """
    dimensions = int(np.prod(shape))
    shift = uniform(Purpose.INITIAL_NOISE, seed, np.array([item % cycle]), dimensions)
    places = quasi_random(np.array([item // cycle]), dimensions, shift)
    return ndtri(places).astype(np.float32).reshape(shape)

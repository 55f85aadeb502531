"""Even sequences: points that fill a space with less chance than random ones do: a perfect sampler is not failed by luck."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import ndtri

from s2g.rng import Purpose, uniform


@cache
def _steps(dimensions: int) -> np.ndarray:
    """The additive recurrence's steps: powers of 1 / phi_d with phi_d^(d+1) = phi_d + 1 (golden ratio for d = 1, R2 for 2)."""
    phi = 2.0
    for _ in range(80):
        phi = (1 + phi) ** (1 / (dimensions + 1))
    return phi ** -np.arange(1.0, dimensions + 1)


def quasi_random(index: np.ndarray, dimensions: int, shift: np.ndarray | float = 0.5) -> np.ndarray:
    """Low-discrepancy points [N, D] in (0, 1) by index [N]: each is fixed by its own index, so that a set can grow."""
    places = np.mod(np.asarray(index, dtype=np.float64)[:, None] * _steps(dimensions) + shift, 1.0)
    return places.clip(2.0**-53, 1 - 2.0**-53)


def quasi_random_normal(seed: int, item: int, cycle: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float32 of `shape` for one item: of items i, i + cycle, ... an even sequence through the quantile.

    The seed and the item's place in the cycle shift the sequence (Cranley and Patterson 1976): seeds and prompts differ.
    """
    dimensions = int(np.prod(shape))
    shift = uniform(Purpose.INITIAL_NOISE, seed, np.array([item % cycle]), dimensions)
    places = quasi_random(np.array([item // cycle]), dimensions, shift)
    return ndtri(places).astype(np.float32).reshape(shape)

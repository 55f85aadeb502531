"""How directly points go from noise to data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def detour(states: np.ndarray) -> np.ndarray:
    """Return path length over the distance between its ends [N], of states [N, S + 1, ...]; 1 for a straight path."""
    flat = states.reshape(*states.shape[:2], -1).astype(np.float64)
    length = np.linalg.norm(np.diff(flat, axis=1), axis=-1).sum(1)
    return length / np.linalg.norm(flat[:, -1] - flat[:, 0], axis=-1).clip(1e-12)


def bend(states: np.ndarray) -> np.ndarray:
    """Return the greatest distance [N] of a path from uniform motion between its ends, in the data's units."""
    flat = states.reshape(*states.shape[:2], -1).astype(np.float64)
    share = np.linspace(0, 1, flat.shape[1])[None, :, None]
    straight = (1 - share) * flat[:, :1] + share * flat[:, -1:]
    return np.linalg.norm(flat - straight, axis=-1).max(1)


@dataclass(frozen=True)
class Way:
    """A number of every item's way, [N] from states [N, S + 1, ...]; `version` is raised when it is measured otherwise."""

    label: str
    higher: bool | None
    digits: int
    of: Callable[[np.ndarray], np.ndarray]
    version: int = 1


WAYS = {
    "detour": Way("length / distance", False, 3, detour),
    "bend": Way("bend", False, 3, bend),
}

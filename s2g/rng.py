"""Counter-based random streams: what a draw is depends on what it is for, never on when or where it is drawn.

Philox maps (key, counter) to random words. The key holds the seed and the purpose; the counter holds the coordinates
of the draw (item, step, draw), in its high words, so that every stream has 2^64 words of its own. Batch size, order,
workers and device therefore cannot change a sample.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for; a new purpose takes a new number, an old one never changes."""

    INITIAL_NOISE = 1
    MASK = 2
    STEP_NOISE = 3
    SCENE = 4
    TRAINING = 5
    STUDY = 6
    WEIGHTS = 7
    LABEL = 8
    CAPTION = 9
    ORDER = 10
    DIRECTION = 11


def philox(purpose: Purpose, seed: int, item: int = 0, step: int = 0, draw: int = 0) -> np.random.Philox:
    """Return the stream of one draw; all coordinates are non-negative integers below 2^64."""
    return np.random.Philox(key=[seed, int(purpose)], counter=[0, draw, step, item])


def normal(purpose: Purpose, seed: int, item: int, shape: tuple[int, ...], step: int = 0) -> np.ndarray:
    """Draw standard normal float32 of `shape` for one item (and step)."""
    return np.random.Generator(philox(purpose, seed, item, step)).standard_normal(shape, dtype=np.float32)


def uniform(purpose: Purpose, seed: int, items: np.ndarray, count: int) -> np.ndarray:
    """Draw uniform doubles in [0, 1) of shape [len(items), count], row by row from each item's own stream."""
    words = np.stack([philox(purpose, seed, int(item)).random_raw(count) for item in items])
    return (words >> np.uint64(11)) * 2.0**-53

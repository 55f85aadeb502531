"""Bradley-Terry strengths from pairwise preferences: i is preferred to j with probability 1 / (1 + exp(b_j - b_i))."""

from __future__ import annotations

import numpy as np

MOST_STEPS = 100  # of Newton's method, which takes about six
EXACT = 1e-10


def bradley_terry(wins: np.ndarray) -> np.ndarray:
    """Return the strengths [..., M] that make `wins` [..., M, M] most likely, as log odds against the mean of all.

    wins[i, j]: how often i was preferred to j; the diagonal is ignored. NaN where no finite strengths are most likely: where
    the methods fall into two groups of which one never won against the other (Ford 1957).
    """
    count = wins.shape[-1]
    wins = np.where(np.eye(count, dtype=bool), 0.0, wins)
    games, won = wins + wins.swapaxes(-1, -2), wins.sum(-1)
    strengths, defined = np.zeros(won.shape), _connected(wins)
    for _ in range(MOST_STEPS):
        chance = 1 / (1 + np.exp(np.clip(strengths[..., None, :] - strengths[..., :, None], -500, 500)))
        slope = won - (games * chance).sum(-1)
        bend = games * chance * (1 - chance)
        # The likelihood knows differences alone; the constant matrix picks the solution whose mean is 0.
        hessian = np.eye(count) * bend.sum(-1)[..., None] - bend + 1.0
        hessian = np.where(defined[..., None, None], hessian, np.eye(count))
        move = np.where(defined[..., None], np.linalg.solve(hessian, slope[..., None])[..., 0], 0.0)
        strengths = strengths + np.clip(move, -2, 2)  # far steps overshoot where one side wins nearly always
        strengths -= strengths.mean(-1, keepdims=True)
        if np.abs(move).max(initial=0) < EXACT:
            break
    return np.where(defined[..., None], strengths, np.nan)


def _connected(wins: np.ndarray) -> np.ndarray:
    """Return [...] whether every method leads to every other over wins."""
    count = wins.shape[-1]
    reach = (wins > 0) | np.eye(count, dtype=bool)
    for _ in range(count.bit_length()):
        reach = (reach.astype(np.int64) @ reach.astype(np.int64)) > 0
    return np.asarray(reach.all((-1, -2)))

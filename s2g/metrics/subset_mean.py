"""The mean of some of the items as a mean over all of them: what each item adds to it, to first order."""

from __future__ import annotations

import numpy as np


def subset_mean_items(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is the mean of values [N] over chosen [N]; nan throughout where nothing is chosen.

    values and chosen may be [N, K], K values of an item (answers to its questions): the mean is over all that are chosen.

    An item that is not chosen has the mean itself, so that an interval over clusters of items is that of a ratio of sums
    (the infinitesimal jackknife, as in frechet_influence.py), however many of the chosen each cluster holds.
    """
    chosen = chosen & ~np.isnan(values)
    if not chosen.any():
        return np.full(len(values), np.nan)
    mean = values[chosen].mean(dtype=np.float64)
    spread = np.where(chosen, values - mean, 0.0).reshape(len(values), -1).sum(axis=1)
    return mean + spread * (len(values) / chosen.sum())

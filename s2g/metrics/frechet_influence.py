"""A Fréchet distance as a mean over items: the distance itself plus what each item, to first order, adds to it.

So the distance has an interval as every mean has one, over units and paired between runs, from one number an item
instead of from a leaving-out of every unit (a decomposition of [2048, 2048] each). The infinitesimal jackknife,
Jaeckel 1972; its mean over items is the distance to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from s2g.metrics.frechet import Moments, frechet_distance, lean_root, transport


def frechet_items(blocks: Callable[[], Iterable[np.ndarray]], reference: Moments) -> np.ndarray:
    """Return [N] numbers whose mean is the Fréchet distance of features from a reference.

    blocks: gives features [n, D] a block at a time, from the first on at each call; it is called twice. Of the distance
    |m - r|^2 + tr(A + B - 2 (A B)^(1/2)) an item x changes 2 (m - r)(x - m) + (x - m)(1 - T)(x - m), T the transport
    of A to B. With no more items than dimensions the distance is that of the same formula; the interval is then rough.
    """
    own = Moments.streamed(blocks())
    root = lean_root(reference)
    distance = frechet_distance(own, reference, (lean_root(own), root))
    slope = -transport(own, root)
    del root
    slope[np.diag_indices_from(slope)] += 1
    towards = 2 * (own.mean - reference.mean)
    parts = []
    for block in blocks():
        centred = np.asarray(block, np.float64) - own.mean
        parts.append(centred @ towards + ((centred @ slope) * centred).sum(1))
    change = np.concatenate(parts)
    return distance + change - change.mean()

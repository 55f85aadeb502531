"""How each kind of distance comes from features: functions of what is compared to numbers per item (metrics.py lists them)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from s2g.benchmarks.distances.metrics import NEAREST
from s2g.metrics.frechet import Moments
from s2g.metrics.frechet_influence import frechet_items
from s2g.metrics.gaussian_discrepancy import gaussian_items
from s2g.metrics.inception_score import inception_score_items
from s2g.metrics.kernel_distance import kernel_items
from s2g.metrics.manifold import Manifold
from s2g.metrics.sliced_wasserstein import sliced_items


@dataclass(frozen=True)
class Compared:
    """Samples' and reference's features of one part of a network's row; several metrics share what was read."""

    num: int
    blocks: Callable[[], Iterator[np.ndarray]]  # the samples' [n, D] at a time, from the first at each call
    moments: Callable[[], Moments]  # of the reference
    features: Callable[[], np.ndarray]  # of the reference's images, [M, D]

    @cached_property
    def own(self) -> np.ndarray:
        """Return the samples' features at once, float32 [N, D]: 0.4 GB for 50,000 of Inception."""
        return np.concatenate([np.asarray(block, np.float32) for block in self.blocks()])

    @cached_property
    def real(self) -> np.ndarray:
        """Return the reference's features [M, D]."""
        return self.features()


def _precision(of: Compared) -> np.ndarray:
    manifold = Manifold.of(of.real, NEAREST)
    return np.concatenate([manifold.balls_of(block) > 0 for block in of.blocks()]).astype(np.float64)


def _recall(of: Compared) -> np.ndarray:
    """Return the share for every item alike: it is of the whole set."""
    if of.num <= NEAREST:  # a run of a few items has no manifold of its own
        return np.full(of.num, np.nan)
    return np.full(of.num, float((Manifold.of(of.own, NEAREST).balls_of(of.real) > 0).mean()))


KINDS: dict[str, Callable[[Compared], np.ndarray]] = {
    "frechet": lambda of: frechet_items(of.blocks, of.moments()),
    "score": lambda of: inception_score_items(of.blocks(), of.num),
    "kernel": lambda of: kernel_items(of.blocks(), of.num, of.real),
    "precision": _precision,
    "recall": _recall,
    "sliced": lambda of: sliced_items(of.own, of.real),
    "gaussian": lambda of: gaussian_items(of.own, of.real),
}

"""Whether a sub-network departs from the network in the direction in which a weaker network does (Sections 1 and 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from s2g.engine.run import Run
from s2g.experiments.studies.predicted import Predicted, drawn_masks, predict
from s2g.experiments.studies.study import Quantity, Study
from s2g.rng import Purpose, philox


@dataclass(frozen=True)
class Alignment(Study):
    """Cosines of `sub - cond` and `weak - cond`, means over images and masks; sub as S2 draws it, weak as Autoguidance has it.

    What to hold them against: a random direction, and the weaker network's departure at another image, which shares
    whatever all images share. Two masks against each other say how consistent sub-networks are among themselves (Appendix A.2).
    """

    level: float = 0.5
    count: int = 32  # images
    masks: int = 8

    quantities: ClassVar = {
        "weak": Quantity("cosine of a sub-network to the weaker network", None, 3),
        "mean": Quantity("of the mean over masks", None, 3),
        "other": Quantity("of a sub-network to the weaker network at another image", None, 3),
        "above": Quantity("cosine less that at another image", True, 3),
        "random": Quantity("of a random direction to the weaker network", None, 3),
        "uncond": Quantity("of a sub-network to the network without condition", None, 3),
        "among": Quantity("of two masks to each other", True, 3),
        "size": Quantity("size of sub - cond / weak - cond", None, 2),
    }

    def check(self, run: Run) -> None:
        run.bench.unseen([0])

    def measure(self, run: Run) -> dict[str, float]:
        """Return mean cosines, and the ratio of root mean squares; without a weaker network what needs none."""
        found = predict(run, self.level, self.count, drawn_masks(run, self.masks))
        rng = np.random.Generator(philox(Purpose.STUDY, run.seed, draw=1))
        return compare(found, rng.standard_normal(found.subs.shape))


def compare(found: Predicted, random: np.ndarray) -> dict[str, float]:
    """Return the quantities of predictions; random: directions [M, B, D]."""
    sub, uncond = found.subs - found.cond, found.uncond - found.cond
    different = [(i, j) for i in range(len(sub)) for j in range(i) if (sub[i] != sub[j]).any()]
    known = {"uncond": mean_cosine(sub, uncond[None])}
    if different:
        known["among"] = float(np.mean([mean_cosine(sub[i], sub[j]) for i, j in different]))
    if found.weak is None:
        return known
    weak = (found.weak - found.cond)[None]
    here, elsewhere = mean_cosine(sub, weak), mean_cosine(sub, np.roll(weak, 1, axis=1))
    return known | {
        "weak": here,
        "mean": mean_cosine(sub.mean(0, keepdims=True), weak),
        "other": elsewhere,
        "above": here - elsewhere,
        "random": mean_cosine(random, weak),
        "size": float(np.sqrt((sub**2).mean() / (weak**2).mean())),
    }


def mean_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean cosine between vectors [..., D] that broadcast; where one is nothing there is no direction to compare."""
    size = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return float(((a * b).sum(-1)[size > 0] / size[size > 0]).mean())

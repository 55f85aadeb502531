"""Whether variance over masks marks error (Eq. 13 and 14), against the exact denoiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import rankdata

from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.studies.study import Quantity, Study

PLACES = ("data", "around")
REACH = 1.5  # how far around the outermost means points lie, in units of their distance from the origin


@dataclass(frozen=True)
class Uncertainty(Study):
    """At points of one or several noise levels: as the mixture is noised to them, or evenly all around it."""

    levels: tuple[float, ...] = (0.5,)
    places: str = "data"
    count: int = 2048  # points a level

    quantities: ClassVar = {
        "rank": Quantity("rank correlation of deviation over masks and error", True, 3),
        "size": Quantity("the same with the correction's size", True, 3),
        "quarters": Quantity("error, most over least uncertain quarter", True, 2),
        "error": Quantity("error, root mean square", None, 4),
        "spread": Quantity("deviation over masks", None, 4),
    }

    def __post_init__(self) -> None:
        if self.places not in PLACES:
            raise UserError(f"study.places = {self.places}", allowed=", ".join(PLACES))

    def measure(self, run: Run) -> dict[str, float]:
        """Spearman's correlation between what the masks disagree by and how wrong the network is, point by point."""
        from s2g.experiments.studies.probed import noised, probe
        from s2g.models.toy import ToyDenoiser

        spread, error, size = [], [], []
        for at, level in enumerate(self.levels):
            x, labels = noised(run, level, self.count, at)
            if self.places == "around":
                mixture = ToyDenoiser.meta_model(run.model).mixture
                x = around(mixture.means, self.count) * (1 - level)
            found = probe(run, x, level, labels)
            spread.append(found.spread)
            error.append(found.error)
            size.append(np.linalg.norm(found.sub - found.cond, axis=-1))
        spread_, error_, size_ = (np.concatenate(part) for part in (spread, error, size))
        order = np.argsort(spread_)
        quarter = len(order) // 4
        return {
            "rank": rank_correlation(spread_, error_),
            "size": rank_correlation(size_, error_),
            "quarters": float(error_[order[-quarter:]].mean() / error_[order[:quarter]].mean()),
            "error": float(np.sqrt((error_**2).mean())),
            "spread": float(np.sqrt((spread_**2).mean())),
        }


def around(means: np.ndarray, count: int) -> np.ndarray:
    """Points [count, D] spread evenly over a box around the means."""
    from s2g.worlds.mixtures.quasi_random import quasi_random

    return (2 * quasi_random(np.arange(count), means.shape[1]) - 1) * REACH * np.abs(means).max()


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of [N] and [N]; nan where one of them is all the same."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])

"""Whether one mask is an unbiased estimate of the mean over masks, and how variance falls with their number (Eq. 26 to 29)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from s2g.engine.run import Run
from s2g.experiments.studies.study import Quantity, Study, masks_of, method_of
from s2g.guidance.base import MaskSampler


@dataclass(frozen=True)
class Estimator(Study):
    """Masks as a run draws them, unit by unit, against the mean over every mask there is."""

    masks: int = 1  # N of Eq. 27
    level: float = 0.5
    count: int = 256  # points
    draws: int = 2000  # independent estimates

    quantities: ClassVar = {
        "bias": Quantity("bias / its standard error", None, 2),
        "variance": Quantity("N variance / variance of one mask", None, 3),
        "noise": Quantity("deviation of the correction / its size", False, 3),
    }

    def measure(self, run: Run) -> dict[str, float]:
        """bias: root mean square, over points and dimensions, of the mean estimate's distance from the mean over masks in its
        standard errors: 1 if there is none. variance: against the exact variance of one mask: 1 if masks are independent."""
        from s2g.experiments.studies.probed import noised, probe

        method, blocks = method_of(run), run.model.blocks
        x, labels = noised(run, self.level, self.count)
        found = probe(run, x, self.level, labels)
        places = {mask: at for at, mask in enumerate(masks_of(run))}
        weights = np.zeros((self.draws, len(places)))  # of each mask in each estimate
        for unit in range(self.draws):
            drawn = MaskSampler(run.mask_seed, unit, 0, blocks)
            for i in range(self.masks):
                weights[unit, places[drawn.mask(i, method.dropped(blocks), method.never(blocks))]] += 1 / self.masks
        truth, one = found.sub, found.subs.var(0)  # [B, D], of a single mask
        estimates = np.einsum("rm,mbd->rbd", weights, found.subs)
        error = np.sqrt(one / (self.masks * self.draws))
        away = (estimates.mean(0) - truth) / np.where(error > 0, error, np.inf)
        size = np.sqrt(((truth - found.cond) ** 2).sum(-1).mean())
        return {
            "bias": float(np.sqrt((away**2).mean())),
            "variance": float(self.masks * ((estimates - truth) ** 2).mean() / one.mean()),
            "noise": float(np.sqrt(((estimates - truth) ** 2).sum(-1).mean()) / size),
        }

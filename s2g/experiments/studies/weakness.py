"""Whether sub-networks err more than the network, and in the same direction (Section 3.1): denoising of unseen images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from s2g.engine.run import Run
from s2g.experiments.studies.predicted import Predicted, drawn_masks, predict
from s2g.experiments.studies.study import Quantity, Study


@dataclass(frozen=True)
class Weakness(Study):
    """Mean squared errors of velocity, at images that no network was trained on.

    best: going away from a sub-network by omega, cond - omega (sub - cond), changes the loss to L - 2 omega a + omega^2 b with
    a = E (sub - cond)(cond - truth) and b = E (sub - cond)^2: it falls most by a^2 / b, at omega = a / b. That is above 0
    only if sub-networks exaggerate the network's own error. The same away from the prediction without condition, CFG's step,
    is there to compare: a step may help samples and still raise the loss.
    """

    level: float = 0.5
    count: int = 32  # images
    masks: int = 8

    quantities: ClassVar = {
        "full": Quantity("loss of the network", False, 4),
        "sub": Quantity("a sub-network's excess %", None, 2),
        "weak": Quantity("the weaker network's excess %", None, 2),
        "worse": Quantity("masks with a higher loss %", None, 1),
        "best": Quantity("ω that lowers the loss most, from a sub-network", True, 3),
        "best_weak": Quantity("the same from the weaker network", True, 3),
        "best_uncond": Quantity("the same from no condition, CFG's step", True, 3),
        "gain": Quantity("by how much it lowers it %", True, 3),
        "gain_weak": Quantity("by how much the weaker network lowers it %", True, 3),
    }

    def check(self, run: Run) -> None:
        run.bench.unseen([0])

    def measure(self, run: Run) -> dict[str, float]:
        """Return the loss per number of an image, and the others relative to it; without a weaker network what needs none."""
        return compare(predict(run, self.level, self.count, drawn_masks(run, self.masks)))


def compare(found: Predicted) -> dict[str, float]:
    """Return the quantities of predictions."""
    error, full = found.error, float((found.error**2).mean())
    losses = ((found.subs - found.truth) ** 2).mean((1, 2))  # [M]
    best, gain = extrapolated(found.subs - found.cond, error)
    known = {
        "full": full,
        "sub": 100 * (float(losses.mean()) / full - 1),
        "worse": 100 * float((losses > full).mean()),
        "best": best,
        "best_uncond": extrapolated(found.uncond - found.cond, error)[0],
        "gain": 100 * gain / full,
    }
    if found.weak is None:
        return known
    best, gain = extrapolated(found.weak - found.cond, error)
    loss = float(((found.weak - found.truth) ** 2).mean())
    return known | {"weak": 100 * (loss / full - 1), "best_weak": best, "gain_weak": 100 * gain / full}


def extrapolated(away: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Return the omega at which (error - omega away)^2 is least on average, and by how much less it is, signed as omega.

    away: [..., D], a weaker prediction less the network's; error: [B, D]. The sign of the gain tells a step away from the
    weaker prediction from one towards it. (0, 0) where the two predictions are one.
    """
    along, size = float((away * error).mean()), float((away**2).mean())
    return (0.0, 0.0) if size == 0 else (along / size, along * abs(along) / size)

"""Where S2's correction points, beside where CFG pushes and where the truth lies (Figure 2, computed)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from s2g.engine.run import Run
from s2g.experiments.studies.study import Quantity, Study, method_of
from s2g.guidance.cfg import CFG

if TYPE_CHECKING:
    from s2g.experiments.studies.probed import Probed


@dataclass(frozen=True)
class Directions(Study):
    """At points as the mixture is noised to a level; the correction is the mean over every mask, what Eq. 3 tends to."""

    level: float = 0.5
    count: int = 2048

    quantities: ClassVar = {
        "push": Quantity("CFG's push", None, 4),
        "correction": Quantity("S²'s correction", None, 4),
        "along": Quantity("cosine to CFG's push", None, 3),
        "back": Quantity("cosine to the way back from CFG", True, 3),
        "right": Quantity("cosine to the network's own error", True, 3),
        "error": Quantity("the network's own error", None, 4),
    }

    def measure(self, run: Run) -> dict[str, float]:
        """Root mean squares of the vectors in the data's units, and mean cosines between them.

        The way back from CFG leads from its estimate to the exact conditional one, the network's own error from its
        conditional estimate to the exact one.
        """
        from s2g.experiments.studies.probed import noised, probe

        x, labels = noised(run, self.level, self.count)
        found = probe(run, x, self.level, labels)
        push, correction = vectors(found, run)
        return {
            "push": _rms(push),
            "correction": _rms(correction),
            "along": cosine(correction, push),
            "back": cosine(correction, found.exact_cond - (found.cond + push)),
            "right": cosine(correction, found.exact_cond - found.cond),
            "error": _rms(found.exact_cond - found.cond),
        }


def vectors(found: Probed, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """CFG's push (scale - 1)(cond - uncond) and S2's correction -omega (E sub - cond), both [B, D]."""
    method = method_of(run)
    assert isinstance(method.base, CFG)
    push = (method.base.scale - 1) * (found.cond - found.uncond)
    return push, -method.omega * (found.sub - found.cond)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Mean cosine between vectors [B, D]; on a line it is the share of equal signs less that of opposite ones."""
    size = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return float(np.mean((a * b).sum(-1)[size > 0] / size[size > 0]))


def _rms(a: np.ndarray) -> float:
    return float(np.sqrt((a**2).sum(-1).mean()))

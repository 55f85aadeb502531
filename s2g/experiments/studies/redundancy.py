"""How much each block matters (Sections 3.1 and 4.5): what leaving it out changes, by block and noise level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch

from s2g.engine.run import Run
from s2g.engine.worker import load, prepare
from s2g.experiments.studies.alignment import mean_cosine
from s2g.experiments.studies.predicted import Predicted, noised, predict
from s2g.experiments.studies.study import Quantity, Study
from s2g.experiments.studies.weakness import extrapolated
from s2g.network.control import Pass
from s2g.network.evaluate import Evaluator


@dataclass(frozen=True)
class ByBlock:
    """What leaving out each block does to the conditional prediction, [blocks] each."""

    change: np.ndarray  # root mean square of the change / that of the prediction
    excess: np.ndarray  # of the loss at unseen images, relative to that of the whole network
    gain: np.ndarray  # by how much a step away lowers that loss at best; negative where the best step is towards it


@dataclass(frozen=True)
class Redundancy(Study):
    """Blocks left out one at a time; the first one apart, since S2 never drops it."""

    level: float = 0.5
    count: int = 32  # images

    quantities: ClassVar = {
        "similar": Quantity("cosine of a block's output to the next one's", None, 3),
        "mean": Quantity("change of the prediction %, mean over blocks but the first", None, 1),
        "least": Quantity("of the block that matters least", None, 1),
        "most": Quantity("most", None, 1),
        "first": Quantity("of the first block", None, 1),
        "loss": Quantity("excess loss %, mean over blocks but the first", None, 2),
        "loss_most": Quantity("of the block that matters most", None, 2),
        "loss_first": Quantity("of the first block (loss)", None, 1),
        "gain": Quantity("by how much a step away from it lowers the loss %, mean over blocks but the first", True, 3),
    }

    def check(self, run: Run) -> None:
        run.bench.unseen([0])

    def measure(self, run: Run) -> dict[str, float]:
        """Return changes in percent of the prediction's root mean square, and losses in percent of the whole network's."""
        found = by_block(run, self)
        change, excess, gain = 100 * found.change, 100 * found.excess, 100 * found.gain
        return {
            "similar": float(np.mean(similarities(residual_states(run, self.level, self.count)))),
            "mean": float(change[1:].mean()),
            "least": float(change[1:].min()),
            "most": float(change[1:].max()),
            "first": float(change[0]),
            "loss": float(excess[1:].mean()),
            "loss_most": float(excess[1:].max()),
            "loss_first": float(excess[0]),
            "gain": float(gain[1:].mean()),
        }


class _Asked:
    """A run and a study as a cache key: the table and the drawing ask for the same numbers."""

    def __init__(self, run: Run, study: Redundancy) -> None:
        self.run, self.study, self.key = run, study, (run.key, study)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


def by_block(run: Run, study: Redundancy) -> ByBlock:
    """Leave out each block of a run's network in turn; the numbers of a run are kept."""
    return _by_block(_Asked(run, study))


@lru_cache(maxsize=4096)  # two small arrays each
def _by_block(asked: _Asked) -> ByBlock:
    run, study = asked.run, asked.study
    return compare(predict(run, study.level, study.count, [(block,) for block in range(run.model.blocks)]))


def compare(found: Predicted) -> ByBlock:
    """Return what each mask of predictions changes."""
    change = np.sqrt(((found.subs - found.cond) ** 2).mean((1, 2)) / (found.cond**2).mean())
    losses = ((found.subs - found.truth) ** 2).mean((1, 2))
    full = (found.error**2).mean()
    gains = np.array([extrapolated(sub - found.cond, found.error)[1] for sub in found.subs])
    return ByBlock(change, losses / full - 1, gains / full)


def residual_states(run: Run, level: float, count: int) -> list[np.ndarray]:
    """Return the image's tokens as they enter each block under the condition, [B, N D] each."""
    prepare("cpu")
    network, seen = load(run.model, "cpu")[0], noised(run, level, count)
    work = Pass(record=frozenset(range(len(network.blocks))))
    with Evaluator(network) as evaluator, torch.inference_mode(), evaluator.control.during(work):
        network.forward(seen.x, level, network.encode(seen.prompts)["cond"])
    return [work.kept[block][0].flatten(1).double().numpy() for block in range(len(network.blocks))]


def similarities(states: Sequence[np.ndarray]) -> list[float]:
    """Return the mean cosine of each block's output to the next one's: of states [B, N D] that enter block 1, 2, ..."""
    return [mean_cosine(a, b) for a, b in pairwise(states[1:])]

"""What a network, its sub-networks and a weaker network predict at real images that were noised.

Shapes: B images, M masks, D numbers of an image. Everything is a velocity, noise - data, so that the truth of a prediction is
known: the noise and the image. That an image was not trained on is its bench's word (`Bench.unseen`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s2g.engine.run import Run
from s2g.engine.worker import load, prepare
from s2g.experiments.studies.study import method_of
from s2g.guidance.autoguidance import WEAK
from s2g.guidance.base import MaskSampler
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.rng import Purpose, normal

Mask = tuple[int, ...]


@dataclass(frozen=True)
class Noised:
    """Real images as they are noised to a level: what networks are asked, and what the answer is."""

    x: Tensor  # [B, *latent_shape]
    truth: np.ndarray  # [B, D], noise - data
    prompts: Sequence[Any]


@dataclass(frozen=True)
class Predicted:
    """Predictions [B, D]: with and without condition, under each mask, and of the weaker network if the run has one."""

    truth: np.ndarray
    cond: np.ndarray
    uncond: np.ndarray
    subs: np.ndarray  # [M, B, D]
    weak: np.ndarray | None

    @property
    def error(self) -> np.ndarray:
        """How far the network's own prediction is from the truth [B, D]."""
        return self.cond - self.truth


def noised(run: Run, level: float, count: int) -> Noised:
    """Return `count` unseen images, other ones for every seed of the run, with a noise that depends on seed and image alone.

    MissingError if the images are not on this machine, UserError if the run's bench has none.
    """
    indices = range(run.seed * count, (run.seed + 1) * count)
    values, prompts = run.bench.unseen(indices)
    data = torch.from_numpy(np.ascontiguousarray(values, np.float32))
    noise = torch.from_numpy(np.stack([normal(Purpose.STUDY, run.seed, i, tuple(data.shape[1:])) for i in indices]))
    alpha, sigma = load(run.model, "cpu")[0].convention.coefficients(level)
    return Noised(alpha * data + sigma * noise, _flat(noise - data), prompts)


def drawn_masks(run: Run, count: int) -> list[Mask]:
    """Return masks as a run of this mask_seed draws them at its first step; one may come twice, as there."""
    method, sampler = method_of(run), MaskSampler(run.mask_seed, 0, 0, run.model.blocks)
    return [sampler.mask(i, method.dropped(run.model.blocks), method.never(run.model.blocks)) for i in range(count)]


def predict(run: Run, level: float, count: int, masks: Sequence[Mask]) -> Predicted:
    """Evaluate a run's network at `count` unseen images of one noise level, and its weaker network if it has one."""
    prepare("cpu")  # bits do not depend on how many threads there are
    network, seen = load(run.model, "cpu")[0], noised(run, level, count)
    weak = None if run.weak is None else Evaluator(load(run.weak, "cpu")[0])
    subs = [Branch("cond", DropBlocks(mask)) for mask in masks]
    branches = [COND, UNCOND, *dict.fromkeys(subs), *([] if weak is None else [WEAK])]
    with Evaluator(network, weak=weak) as evaluator, torch.inference_mode():
        raw = evaluator(branches, seen.x, level, evaluator.encode(seen.prompts)).raw
        found = {b: _flat(network.convention.to(Space.VELOCITY, raw[b], seen.x, level)) for b in branches}
    return Predicted(
        seen.truth, found[COND], found[UNCOND], np.stack([found[sub] for sub in subs]), None if weak is None else found[WEAK]
    )


def _flat(values: Tensor) -> np.ndarray:
    return values.flatten(1).double().numpy()

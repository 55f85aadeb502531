"""A toy network beside the exact denoiser of its mixture, asked at points whose noise is known.

Shapes: B points, D dimensions, M masks. Everything is a denoised estimate, where a difference of two is in the data's units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from s2g.engine.run import Run
from s2g.engine.worker import load, prepare
from s2g.errors import UserError
from s2g.experiments.studies.study import masks_of
from s2g.models.base import Denoiser
from s2g.models.prediction_space import Space
from s2g.models.toy import ExactDenoiser, ToyDenoiser
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.rng import Purpose, philox


@dataclass(frozen=True)
class Probed:
    """Denoised estimates at B points [B, D]: the network's, with and without class, under every mask, and the exact ones."""

    x: np.ndarray
    labels: np.ndarray  # [B]
    cond: np.ndarray
    uncond: np.ndarray
    subs: np.ndarray  # [M, B, D], of every mask there is, all of them equally likely
    exact_cond: np.ndarray
    exact_uncond: np.ndarray

    @property
    def sub(self) -> np.ndarray:
        """The mean over masks [B, D], what Eq. 13 estimates."""
        return self.subs.mean(0)

    @property
    def spread(self) -> np.ndarray:
        """Deviation over masks [B]: the root of Eq. 14, summed over dimensions."""
        return np.sqrt(self.subs.var(0).sum(-1))

    @property
    def error(self) -> np.ndarray:
        """Distance [B] of the network's conditional estimate from the exact one."""
        return np.linalg.norm(self.cond - self.exact_cond, axis=-1)


def probe(run: Run, x: np.ndarray, level: float, labels: np.ndarray) -> Probed:
    """A run's network at points [B, D] of one noise level; UserError where it is no toy or the method has no sub-networks."""
    masks = [Branch("cond", DropBlocks(mask)) for mask in masks_of(run)]
    network: Any = load(run.model, "cpu")[0]
    if not isinstance(network, ToyDenoiser) or isinstance(network, ExactDenoiser):
        raise UserError(f"model = {run.model.name}: the truth is known for toys alone", allowed="toy_1d, toy_2d")
    exact: Any = ExactDenoiser.of(network.mixture)
    known: Any = network
    found = _estimates(known, [COND, UNCOND, *masks], x, level, labels)
    truth = _estimates(exact, [COND, UNCOND], x, level, labels)
    return Probed(x, labels, found[0], found[1], np.stack(found[2:]), *truth)


def noised(run: Run, level: float, count: int, stream: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points [count, D] as the mixture itself is noised to a level, classes in turn, and their classes [count]."""
    mixture = ToyDenoiser.meta_model(run.model).mixture
    rng = np.random.Generator(philox(Purpose.STUDY, run.seed, stream))
    labels = np.arange(count) % mixture.num_classes
    means = np.empty((count, mixture.dimensions))
    for label in range(mixture.num_classes):
        own, of = labels == label, mixture.of(label)
        means[own] = of[rng.integers(len(of), size=int(own.sum()))]
    data = means + mixture.std * rng.standard_normal(means.shape)
    return (1 - level) * data + level * rng.standard_normal(means.shape), labels


def _estimates(
    network: Denoiser, branches: Sequence[Branch], x: np.ndarray, level: float, labels: np.ndarray
) -> list[np.ndarray]:
    points = torch.from_numpy(x.astype(np.float32))
    prepare("cpu")  # bits do not depend on how many threads there are
    with Evaluator(network) as evaluator, torch.inference_mode():
        found = evaluator(branches, points, level, evaluator.encode(labels.tolist())).raw
    to = network.convention.to
    return [to(Space.DENOISED, found[branch], points, level).double().numpy() for branch in branches]

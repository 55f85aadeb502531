"""The loop: for each step, ask the method for its branches, evaluate, combine, move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from s2g.guidance.base import Guidance, MaskSampler, Requirement, State, Step
from s2g.guidance.effective_scale import EffectiveScale, effective_scale
from s2g.models.base import Conditioning
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch
from s2g.network.evaluate import Evaluator
from s2g.rng import Purpose, normal
from s2g.sampling.base import Guided, Sampler, StepEnds
from s2g.sampling.readings import Readings
from s2g.sampling.unit import Unit
from s2g.worlds.mixtures.quasi_random import quasi_random_normal


@dataclass(frozen=True)
class Sampled:
    """Final latents [B, ...], by step the masks that were drawn (mask number -> dropped blocks), and the effective scale."""

    latents: Tensor
    masks: list[dict[int, tuple[int, ...]]]
    effective_scale: EffectiveScale


def initial_noise(seed: int, items: Sequence[int], shape: tuple[int, ...], cycle: int = 0) -> Tensor:
    """Draw starting points [B, *shape] per item; with a cycle, items i, i + cycle, ... form a low-discrepancy sequence."""
    if cycle:
        return torch.stack([torch.from_numpy(quasi_random_normal(seed, item, cycle, shape)) for item in items])
    return torch.stack([torch.from_numpy(normal(Purpose.INITIAL_NOISE, seed, item, shape)) for item in items])


def noise_of(unit: Unit, shape: tuple[int, ...]) -> Tensor:
    """Draw the starting points [B, *shape] of a unit's items."""
    if unit.streams:
        return torch.cat([initial_noise(seed, [item], shape) for seed, item in map(unit.stream, unit.items)])
    return initial_noise(unit.seed, unit.items, shape, unit.cycle)


def sent(values: Tensor, device: torch.device | str) -> Tensor:
    """Return CPU values on the device, without waiting for what it is still doing."""
    ready = values.pin_memory() if torch.device(device).type == "cuda" else values
    return ready.to(device, non_blocking=True)


def sample(
    evaluator: Evaluator,
    guidance: Guidance,
    sampler: Sampler,
    conditioning: Mapping[str, Conditioning],
    unit: Unit,
    device: torch.device | str = "cpu",
    watch: Callable[[Tensor], None] | None = None,
) -> Sampled:
    """Sample one unit's latents; NotFiniteError that names the first step that left the finite numbers.

    No step waits for the device: what is to be read of them is read at the end (an adaptive solver reads it as it goes).

    watch: is shown the state [B, ...] at the start and after every step.
    """
    network = evaluator.network
    x = noise_of(unit, network.latent_shape).to(device)
    levels = sampler.levels()
    memory, solver = guidance.start(), sampler.start()
    masks, readings = [], Readings(unit, at_once=Requirement.STEPS not in sampler.offers)
    if watch is not None:
        watch(x)
    for index, (level, next_level) in enumerate(pairwise(levels)):
        ends = StepEnds(index, len(levels) - 1, level, next_level)
        draws = MaskSampler(unit.mask_seed, unit.index, index, len(network.blocks))
        predict = GuidedNetwork(evaluator, guidance, conditioning, ends, draws, memory, readings)

        def noise(step: int = index) -> Tensor:
            streams = map(unit.stream, unit.items)
            drawn = [normal(Purpose.STEP_NOISE, seed, item, network.latent_shape, step) for seed, item in streams]
            return sent(torch.stack([torch.from_numpy(values) for values in drawn]), device)

        x = sampler.step(x, ends, predict, noise, solver)
        masks.append(dict(draws.drawn))
        if watch is not None:
            watch(x)
    return Sampled(x, masks, readings.read())


@dataclass
class GuidedNetwork:
    """What a sampler calls as predict(x, level, stage): the branches of this step, evaluated and combined."""

    evaluator: Evaluator
    guidance: Guidance
    conditioning: Mapping[str, Conditioning]
    ends: StepEnds
    draws: MaskSampler
    memory: State
    readings: Readings

    @property
    def space(self) -> Space:
        return self.guidance.space

    def __call__(self, x: Tensor, level: float, stage: int = 0, timestep: Tensor | None = None) -> Guided | None:
        ends, space = self.ends, self.guidance.space
        convention = self.evaluator.network.convention
        step = Step(ends.index, ends.count, ends.level, ends.next_level, level, stage, x, self.draws)
        branches = self.guidance.branches(step)
        if not branches:
            self.readings.add_scale(None)
            return None
        here, there = ([branch for branch in branches if bool(branch.point) is ahead] for ahead in (False, True))
        evaluated = self.evaluator(here, x, level, self.conditioning, timestep)
        preds = {branch: convention.to(space, raw, x, level) for branch, raw in evaluated.raw.items()}
        if there:  # no scheduler has a timestep of its own there
            point, at = self.guidance.second(preds, step)
            ahead = self.evaluator(there, point, at, self.conditioning).raw
            preds |= {branch: convention.to(space, raw, point, at) for branch, raw in ahead.items()}
        guided = self.guidance.combine(preds, step, self.memory)
        values = {**{str(branch): value for branch, value in preds.items()}, "the guided prediction": guided}
        self.readings.add(ends, level, values, self._scale(guided, preds))
        return Guided(convention.back(space, guided, x, level), x, level, convention, evaluated.variance.get(COND))

    def _scale(self, guided: Tensor, preds: Mapping[Branch, Tensor]) -> Tensor | None:
        if COND not in preds or UNCOND not in preds:
            return None
        # A method that guides some channels is measured on those.
        values, channels = (guided, preds[COND], preds[UNCOND]), self.guidance.channels
        return effective_scale(*(values if channels is None else (value[:, :channels] for value in values)))

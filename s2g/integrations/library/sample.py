"""`s2g.sample("tiny_sd3", s2g.S2(), ["a red circle"], seeds=[0, 1])`: images of a configured model, without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from s2g.config.compose import COMPOSITION_ERRORS, compose_config, explain_composition
from s2g.config.schema import ModelConfig, WeakConfig, read
from s2g.engine.resolve import check_abilities, read_sampler
from s2g.engine.worker import load, prepare
from s2g.errors import UserError
from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.channels import Channels
from s2g.integrations.diffusers.method import fitted
from s2g.network.evaluate import Evaluator
from s2g.sampling.activity import check_activity
from s2g.sampling.base import WITHOUT
from s2g.sampling.loop import sample as sample_latents
from s2g.sampling.unit import Unit


def sample(
    model: str | Sequence[str],
    method: Guidance,
    prompts: Sequence[Any],
    seeds: int | Sequence[int] = 0,
    steps: int | None = None,
    scale: float | None = None,
    mask_seed: int = 0,
    device: str = "cpu",
) -> np.ndarray:
    """Sample each prompt with each seed: uint8 [P S, H, W, 3] images ([.., F, H, W, 3] videos, float32 [.., D] points).

    model: its name, as after `model=` on the command line, or that and further overrides: ["sd35", "model.weights=FOLDER"].
    prompts: texts, or class numbers. seeds: of the noise; with seed 0, prompt i begins as item i of `s2g.run(seed=0)`. steps:
    the model's own by default. scale: of the method that stands on its own inside `method`. UserError names what is wrong.
    """
    name, *more = [model] if isinstance(model, str) else list(model)
    typed = [f"model={name}", "guidance=none", *more, *([] if steps is None else [f"sampler.steps={steps}"])]
    try:
        raw = compose_config(*typed)
    except COMPOSITION_ERRORS as error:
        raise UserError(explain_composition(error)) from error
    config, listed = read(ModelConfig, raw["model"], "model"), [seeds] if isinstance(seeds, int) else list(seeds)
    if not prompts or not listed:
        raise UserError(f"sample: {len(prompts)} prompts and {len(listed)} seeds", allowed="at least one of each")
    _check_prompts(config, prompts)
    sampler = read_sampler(raw["sampler"], config)
    method = fitted(method, scale, CFG)
    if config.channels not in (None, config.network.get("channels")):
        method = Channels(method, config.channels)
    lacking = [f"{need.value}, but {WITHOUT[need]}" for need in method.needs - sampler.offers]
    if lacking:
        raise UserError(
            f"{type(method).__name__} needs {'; and '.join(lacking)}", todo="give another sampler=NAME beside the model"
        )
    check_abilities(type(method).__name__, method, config)
    check_activity(type(method).__name__, method, sampler, config.blocks)
    weak = None if method.weaker is None else WeakConfig.of(config, method.weaker.weights, method.weaker.network)
    items = [(prompt, (seed, number)) for number, prompt in enumerate(prompts) for seed in listed]
    prepare(device)
    network = load(config, device)[0]
    other = None if weak is None else Evaluator(load(weak, device)[0])
    made = []
    with torch.inference_mode(), Evaluator(network, weak=other) as evaluator:
        for index in range(-(-len(items) // config.unit)):
            numbers = range(index * config.unit, min((index + 1) * config.unit, len(items)))
            streams: Mapping[int, tuple[int, int]] = {number: items[number][1] for number in numbers}
            unit = Unit(index, tuple(numbers), 0, mask_seed, streams=streams)
            conditioning = evaluator.encode([items[number][0] for number in numbers])
            latents = sample_latents(evaluator, method, sampler, conditioning, unit, device).latents
            made.append(network.decode(latents).movedim(1, -1).cpu().numpy())
    return np.concatenate(made)


def _check_prompts(config: ModelConfig, prompts: Sequence[Any]) -> None:
    """Raise UserError for texts where the model takes class numbers, and the other way round."""
    kind = str if config.reads_text else int
    wrong = next((prompt for prompt in prompts if not isinstance(prompt, kind)), None)
    if wrong is not None:
        words = "prompts in words" if config.reads_text else "class numbers"
        raise UserError(f"sample: {wrong!r} is no prompt of {config.name}", allowed=words)
    if config.reads_text:
        config.check_prompts(list(prompts))

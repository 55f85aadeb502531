"""One item of a run, made again outside of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from s2g.config.kernels import DEFAULT, Kernels
from s2g.engine.memory import in_parts, items_at_once
from s2g.engine.run import Run
from s2g.engine.worker import load, precompute_text, prepare
from s2g.network.evaluate import Evaluator
from s2g.network.kernels import attention_kernel
from s2g.sampling.loop import sample


def make_item(
    run: Run, item: int, reuse: bool = True, whole_unit: bool = False, device: str = "cpu", kernels: Kernels = DEFAULT
) -> np.ndarray:
    """Return an item's image, uint8 [H, W, 3], video, uint8 [F, H, W, 3], or float32 point, as it is before it is stored.

    whole_unit: in the batches in which a run makes it; else alone, which may differ in last bits, since a batch of another size
    is summed in another order. Noise and masks are the same: they are functions of item, unit and step.
    """
    prepare(device)
    precompute_text(run, device)
    network, _ = load(run.model, device, kernels)
    other = None if run.weak is None else Evaluator(load(run.weak, device, kernels)[0], reuse)
    unit = run.unit(item // run.model.unit)
    items = unit.items if whole_unit else (item,)
    at_once = items_at_once(network, run.sampler, len(unit.items), device) if whole_unit else 1

    def latents(part: Sequence[int]) -> Tensor:
        with Evaluator(network, reuse, weak=other) as evaluator:
            conditioning = evaluator.encode(run.bench.prompts(part))
            return sample(evaluator, run.guidance, run.sampler, conditioning, replace(unit, items=tuple(part)), device).latents

    with torch.inference_mode():
        with attention_kernel(kernels, device):
            made = torch.cat([part for _, part in in_parts(latents, items, at_once)])
        place = items.index(item)
        decoded = network.decode(made if whole_unit else made[place : place + 1])
    return decoded.movedim(1, -1).cpu().numpy()[place]

"""The trajectories of a run's first items from noise to data, sampled again to the same bits as stored."""

from __future__ import annotations

import numpy as np
import torch

from s2g.engine.run import Run
from s2g.engine.worker import load, prepare
from s2g.network.evaluate import Evaluator
from s2g.sampling.loop import sample


def trajectories(run: Run, count: int) -> np.ndarray:
    """Return the states [count, steps + 1, ...] of items 0, 1, ... before decoding, sampled on the CPU."""
    prepare("cpu")
    network = load(run.model, "cpu")[0]
    weak = None if run.weak is None else load(run.weak, "cpu")[0]
    parts = []
    for index in range(-(-count // run.model.unit)):
        unit, states = run.unit(index), list[torch.Tensor]()
        other = None if weak is None else Evaluator(weak)
        with Evaluator(network, weak=other) as evaluator, torch.inference_mode():
            conditioning = evaluator.encode(run.bench.prompts(unit.items))
            sample(evaluator, run.guidance, run.sampler, conditioning, unit, watch=states.append)
        parts.append(torch.stack(states, 1).float().numpy())
    return np.concatenate(parts)[:count]

"""What a worker does: keep the model in memory, and make one unit after another."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from functools import lru_cache

import torch

from s2g.config import ModelConfig, canonical, read
from s2g.engine.cost import PassCost, measure
from s2g.engine.run import Run
from s2g.engine.store import Store
from s2g.errors import UserError
from s2g.models.base import Denoiser
from s2g.network.evaluate import Account, Evaluator
from s2g.registry import MODELS
from s2g.sampling.loop import sample

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Task:
    """One unit of one run."""

    run: Run
    unit: int
    store: Store
    reuse: bool
    device: str


def prepare() -> None:
    """One thread a worker, however many workers there are: the bytes of a sum depend on how it is split."""
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


@lru_cache(maxsize=2)
def _load(config_json: str, device: str) -> tuple[Denoiser, PassCost]:
    """A model and its FLOPs, by its configuration as JSON; a worker meets few models, and keeps the last two."""
    config = read(ModelConfig, json.loads(config_json), "model")
    adapter = MODELS.load(config.family)
    denoiser: Denoiser = adapter.load(config, torch.device(device), DTYPES[config.dtype])
    if len(denoiser.blocks) != config.blocks:
        raise UserError(
            f"model.blocks = {config.blocks}: {config.name} has {len(denoiser.blocks)}", todo="correct the model's YAML"
        )
    return denoiser, cost_of(adapter.twin(config))


def cost_of(twin: Denoiser) -> PassCost:
    """FLOPs of one item's pass, on a network without numbers."""
    x = torch.empty(1, *twin.latent_shape, device="meta")
    conditioning = twin.encode([0])["cond"]
    return measure(twin.network, twin.blocks, lambda: twin.forward(x, 0.5, conditioning))


def do(task: Task) -> float:
    """Make and store one unit; returns the seconds it took."""
    run = task.run
    denoiser, cost = _load(canonical(asdict(run.model)), task.device)
    unit = run.unit(task.unit)
    began = time.perf_counter()
    account = Account()
    with Evaluator(denoiser, task.reuse, account) as evaluator, torch.inference_mode():
        conditioning = denoiser.encode(run.bench.prompts(unit.items))
        sampled = sample(evaluator, run.guidance, run.sampler, conditioning, unit, task.device)
        images = denoiser.decode(sampled.latents).permute(0, 2, 3, 1).cpu().numpy()
    seconds = time.perf_counter() - began
    facts = {
        "masks": sampled.masks,
        "seconds": round(seconds, 4),
        "evaluations": account.evaluations,
        "flops": cost.of(account),
        "device": task.device,
        "block_runs": account.blocks,
    }
    task.store.put(task.unit, unit.items, images, facts)
    return seconds

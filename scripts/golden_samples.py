"""Golden samples: a few numbers of what every method, sampler and built-in model samples, at this SAMPLES_VERSION.

    python scripts/golden_samples.py        # after SAMPLES_VERSION was raised, or for a new method, sampler or model

tests/engine/test_samples_version.py compares them with today's code. Whoever changes the mathematics of sampling raises
SAMPLES_VERSION, so that stored runs of earlier code are not mistaken for new ones, and writes them again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s2g.config.compose import compose_config
from s2g.config.registry import GUIDANCE, SAMPLERS
from s2g.engine.resolve import resolve
from s2g.engine.run import SAMPLES_VERSION
from s2g.engine.worker import load
from s2g.network.evaluate import Evaluator
from s2g.sampling.loop import sample

FILE = Path(__file__).resolve().parent.parent / "tests" / "engine" / "golden_samples.json"
KEPT = 16  # entries of the latents and of the items, evenly spaced
SHORT = ("model.unit=2", "num=2", "sampler.steps=6")
MIXTURE = ("bench=gmm", "guidance=cfg")
# Samplers of variance-preserving models, on a small DiT with random weights.
DIT = (
    "model=dit_xl", "model.weights=random", "model.blocks=4", "model.network.depth=4", "model.network.width=64",
    "model.network.heads=2", "bench=imagenet", "guidance=cfg",
)  # fmt: skip
# Knobs of golden samples made before these methods were tuned: a preset may change, the mathematics may not.
BEFORE_TUNING = {
    "tcfg": ("guidance.scale=1.75",),
    "fdg": ("guidance.scale=1.75", "guidance.high_scale=3.5"),
    "mambo_g": ("guidance.scale=3.5",),
    "smc_cfg": ("guidance.gain=0.02",),
    "sgg": ("guidance.skip_scale=0.5",),
    "stg_official": ("guidance.scale=1.75",),
    "tag": ("guidance.eta=1.05",),
}


def cases() -> dict[str, tuple[str, ...]]:
    """Return the overrides of every case by its name."""
    methods: dict[str, tuple[str, ...]] = {
        f"guidance={name}": (f"guidance={name}", "sampler=euler", *SHORT, *BEFORE_TUNING.get(name, ())) for name in GUIDANCE
    }
    methods["guidance=autoguidance"] += ("guidance.weak=builtin",)
    methods["guidance=nag"] += ("model=tiny_sd3", "bench=shapes_t2i")  # it needs a text
    samplers: dict[str, tuple[str, ...]] = {f"sampler={name}": (f"sampler={name}", "guidance=cfg", *SHORT) for name in SAMPLERS}
    samplers["sampler=dopri5"] = ("sampler=dopri5", "guidance=cfg", *SHORT[:2])
    for name in ("ddim", "ddpm"):
        samplers[f"sampler={name}"] = (*DIT, f"sampler={name}", *SHORT)
    models: dict[str, tuple[str, ...]] = {
        f"model={name}": (f"model={name}", *MIXTURE, *SHORT) for name in ("toy_1d", "toy_2d", "exact_1d", "exact_2d")
    }
    models["model=tiny_sd3"] = ("model=tiny_sd3", "bench=shapes_t2i", "guidance=s2", *SHORT)
    models["model=tiny_wan"] = ("model=tiny_wan", "bench=shapes_t2v", "guidance=s2", *SHORT)
    models["model=digits_sit"] = ("model=digits_sit", "bench=digits", "guidance=s2", *SHORT)
    for name in ("fashion_sit", "fashion_sit_small"):
        models[f"model={name}"] = (f"model={name}", "bench=fashion", "guidance=s2", *SHORT)
    return {**methods, **samplers, **models}


def sampled(overrides: tuple[str, ...]) -> dict[str, list[float]]:
    """Return KEPT entries of the latents and of the decoded items of a run's first unit."""
    run, _, _ = resolve(compose_config(*overrides))
    denoiser, _ = load(run.model, "cpu")
    weak = None if run.weak is None else Evaluator(load(run.weak, "cpu")[0])
    unit = run.unit(0)
    with Evaluator(denoiser, weak=weak) as evaluator, torch.inference_mode():
        conditioning = evaluator.encode(run.bench.prompts(unit.items))
        latents = sample(evaluator, run.guidance, run.sampler, conditioning, unit).latents
        items = denoiser.decode(latents)
    return {"latents": _entries(latents), "items": _entries(items)}


def _entries(values: torch.Tensor) -> list[float]:
    flat = values.double().flatten().numpy()
    return [float(f"{value:.6g}") for value in flat[np.linspace(0, len(flat) - 1, KEPT).astype(int)]]


def main() -> None:
    """Write the golden samples of all cases."""
    torch.set_num_threads(1)
    content: dict[str, Any] = {"version": SAMPLES_VERSION, "cases": {name: sampled(o) for name, o in cases().items()}}
    FILE.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{len(content['cases'])} cases: {FILE}")


if __name__ == "__main__":
    main()

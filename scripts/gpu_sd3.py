"""What SD3-medium and SD3.5-medium take on a GPU: seconds and GB of diffusers' own pipeline, and of the engine.

    python scripts/gpu_sd3.py               # needs CUDA; writes experiments/results/gpu/sd3_medium.json and .md
    python scripts/gpu_sd3.py --rehearse    # the same on tiny networks on the CPU: shows that it runs, and nothing else

Random weights of full size, 1024x1024, 28 steps, bf16: StableDiffusion3Pipeline around the very network that the engine
has, and the engine's CFG, S2 plain and S2 with prefix reuse (23 of 28 steps), in turn in one process. Latents only: no
text encoder and no decoder runs. Rows are printed and written after each round.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
from gpu_measuring import Sizes, asked, end, result_of, run_of, write
from gpu_pipelines import Found, Row, markdown, measured
from gpu_weights import drawn
from torch import Tensor

from s2g.engine.resolve import Outline
from s2g.engine.worker import cost_of
from s2g.models.base import Conditioning
from s2g.models.family import SD3
from s2g.models.sd3 import SD3Denoiser
from s2g.sampling.schedulers import FlowMatchEuler

MODELS = ("sd3", "sd35")
SCALE = 7.5  # paper B.4
SMALL = (
    "sample_size: 8, num_layers: 4, attention_head_dim: 8, num_attention_heads: 4, joint_attention_dim: 64, "
    "caption_projection_dim: 32, pooled_projection_dim: 64, pos_embed_max_size: 16"
)
TINY = {
    "sd3": (f"model.network={{{SMALL}}}", "model.blocks=4", "model.resolution=64"),
    "sd35": (f"model.network={{{SMALL}, dual_attention_layers: [0, 1]}}", "model.blocks=4", "model.resolution=64"),
}
# Of a rehearsal. The pipeline keeps latents in the network's dtype and the engine in fp32: they are equal in fp32 alone.
PRECISIONS = {"sd3": ("fp32",), "sd35": ("bf16", "fp32")}


def stock_of(denoiser: SD3Denoiser, sampler: FlowMatchEuler) -> Any:
    """Build diffusers' pipeline around the engine's own network; it is given embeddings and asked for latents."""
    parts: dict[str, Any] = dict.fromkeys(
        ("vae", "text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3")
    )
    pipeline = StableDiffusion3Pipeline(transformer=denoiser.network, scheduler=sampler.scheduler(), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def by_stock(pipeline: Any, conditions: Mapping[str, Conditioning], noise: Tensor, steps: int) -> Tensor:
    """Return latents [B, C, S, S] of the pipeline's own __call__, from noise [B, C, S, S]."""
    cond, uncond = (conditions[name].tensors for name in ("cond", "uncond"))
    return pipeline(
        prompt_embeds=cond["tokens"],
        pooled_prompt_embeds=cond["pooled"],
        negative_prompt_embeds=uncond["tokens"],
        negative_pooled_prompt_embeds=uncond["pooled"],
        latents=noise,
        height=SD3.stride * noise.shape[-2],
        width=SD3.stride * noise.shape[-1],
        num_inference_steps=steps,
        guidance_scale=SCALE,
        output_type="latent",
    ).images


def measured_of(model: str, precision: str, sizes: Sizes, more: Sequence[str]) -> Iterator[Found]:
    """Measure one model as `measured` does. more: further overrides."""
    typed = [f"model={model}", "model.weights=random", f"model.dtype={precision}", "bench=prompts", *more]
    typed += ["sampler=flow_match_euler", f"sampler.steps={sizes.steps}", f"guidance.scale={SCALE}"]
    runs: dict[str, Outline] = {name: run_of(*typed, f"guidance={name}") for name in ("cfg", "s2")}
    config, sampler = runs["cfg"].model, runs["cfg"].sampler
    assert isinstance(sampler, FlowMatchEuler)
    denoiser, cost = drawn(runs["cfg"], sizes.device), cost_of(SD3Denoiser.meta_model(config), "")
    pipeline = stock_of(denoiser, sampler)
    return measured(runs, denoiser, cost, lambda conditions, noise: by_stock(pipeline, conditions, noise, sizes.steps), sizes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; 2 where there is no CUDA GPU."""
    typed = sys.argv[1:] if arguments is None else arguments
    ask = asked("gpu_sd3", str(__doc__), typed, full=(1, 28, 5), tiny=(2, 28, 1))
    if ask is None:
        return 2
    sizes, text = ask.sizes, ""
    before: list[Row] = []
    top: dict[str, float] = {}
    apart: dict[str, dict[str, float]] = {}
    remark = (
        f"Random weights, 1024×1024, batches of {sizes.batch}, {sizes.steps} steps timed {sizes.repeats} times, medians, in "
        "turn in one process; GB are what torch holds at the peak, weights included. No text encoder and no decoder runs."
    )
    with torch.inference_mode():
        for model in MODELS:
            for precision in PRECISIONS[model] if ask.rehearse else ("bf16",):
                name, rows = f"{model}, {precision}", list[Row]()
                for rows, top[name], apart[name] in measured_of(model, precision, sizes, TINY[model] if ask.rehearse else ()):
                    of = {"peak": top, "apart": apart, "rows": [asdict(row) for row in [*before, *rows]], "remark": remark}
                    result = result_of(ask, "SD3-medium and SD3.5-medium, 1024×1024", **of)
                    text = markdown(result, "image")
                    write(ask, "sd3_medium", result, text)
                before += rows
                gc.collect()  # one network at a time
                torch.cuda.empty_cache()
    end(ask, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

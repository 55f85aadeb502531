"""What Wan2.1 1.3B takes on a GPU: seconds and GB of diffusers' own pipeline, and of the engine.

    python scripts/gpu_wan.py               # needs CUDA; writes experiments/results/gpu/wan_1_3b.json and .md
    python scripts/gpu_wan.py --frames 33   # where time or memory is short
    python scripts/gpu_wan.py --rehearse    # the same on a tiny network on the CPU: shows that it runs, and nothing else

Random weights of full size, 81 frames of 480x832, UniPC with 50 steps, bf16: WanPipeline around the very network that the
engine has, and the engine's CFG, S2 plain and S2 with prefix reuse (40 of 50 steps), in turn in one process. Latents only: no
text encoder and no decoder runs. Rows are printed and written
after each round.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from gpu_measuring import Sizes, asked, end, result_of, run_of, write
from gpu_pipelines import Found, Row, markdown, measured
from gpu_weights import drawn
from torch import Tensor

from s2g.engine.resolve import Outline
from s2g.engine.worker import cost_of
from s2g.models.base import Conditioning
from s2g.models.family import WAN
from s2g.models.wan import WanDenoiser
from s2g.sampling.schedulers import UniPC

SCALE = 5.0  # paper B.4
TINY = (
    "model.network={num_attention_heads: 2, attention_head_dim: 12, text_dim: 32, freq_dim: 16, ffn_dim: 48, num_layers: 4}",
    "model.blocks=4",
    "model.height=32",
    "model.width=48",
)


def stock_of(denoiser: WanDenoiser, sampler: UniPC) -> Any:
    """Build diffusers' pipeline around the engine's own network; it is given embeddings and asked for latents."""
    parts: dict[str, Any] = dict.fromkeys(("vae", "text_encoder", "tokenizer"))
    pipeline = WanPipeline(transformer=denoiser.network, scheduler=sampler.scheduler(), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def by_stock(pipeline: Any, conditions: Mapping[str, Conditioning], noise: Tensor, steps: int) -> Tensor:
    """Return latents [B, C, F, h, w] of the pipeline's own __call__, from noise of that shape."""
    frames, height, width = noise.shape[-3:]
    return pipeline(
        prompt_embeds=conditions["cond"].tensors["tokens"],
        negative_prompt_embeds=conditions["uncond"].tensors["tokens"],
        latents=noise,
        height=WAN.stride * height,
        width=WAN.stride * width,
        num_frames=WAN.frame_stride * (frames - 1) + 1,
        num_inference_steps=steps,
        guidance_scale=SCALE,
        output_type="latent",
    ).frames


def measured_of(precision: str, frames: int, sizes: Sizes, more: Sequence[str]) -> Iterator[Found]:
    """Measure the model in one precision as `measured` does. more: further overrides."""
    typed = [
        "model=wan_1_3b",
        "model.weights=random",
        f"model.dtype={precision}",
        f"model.frames={frames}",
        "bench=prompts",
        *more,
    ]
    typed += [f"sampler.steps={sizes.steps}", f"guidance.scale={SCALE}"]
    runs: dict[str, Outline] = {name: run_of(*typed, f"guidance={name}") for name in ("cfg", "s2")}
    config, sampler = runs["cfg"].model, runs["cfg"].sampler
    assert isinstance(sampler, UniPC)
    denoiser, cost = drawn(runs["cfg"], sizes.device), cost_of(WanDenoiser.meta_model(config), "")
    pipeline = stock_of(denoiser, sampler)
    return measured(runs, denoiser, cost, lambda conditions, noise: by_stock(pipeline, conditions, noise, sizes.steps), sizes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; 2 where there is no CUDA GPU."""
    typed = sys.argv[1:] if arguments is None else arguments
    ask = asked("gpu_wan", str(__doc__), typed, full=(1, 50, 1), tiny=(2, 10, 1), frames=81)
    if ask is None:
        return 2
    sizes, text = ask.sizes, ""
    before: list[Row] = []
    top: dict[str, float] = {}
    apart: dict[str, dict[str, float]] = {}
    title = f"Wan2.1 1.3B, {ask.frames} frames of 480×832"
    remark = (
        f"Random weights, {ask.frames} frames of 480×832, batches of {sizes.batch}, UniPC, {sizes.steps} steps timed "
        f"{sizes.repeats} times, medians, in turn in one process; GB are what torch holds at the peak, weights included. No "
        "text encoder and no decoder runs."
    )
    with torch.inference_mode():
        for precision in ("bf16", "fp32") if ask.rehearse else ("bf16",):
            name, rows = f"wan_1_3b, {precision}", list[Row]()
            for rows, top[name], apart[name] in measured_of(precision, ask.frames, sizes, TINY if ask.rehearse else ()):
                of = {"peak": top, "apart": apart, "rows": [asdict(row) for row in [*before, *rows]], "remark": remark}
                result = result_of(ask, title, frames=ask.frames, **of)
                text = markdown(result, "video")
                write(ask, "wan_1_3b", result, text)
            before += rows
    end(ask, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

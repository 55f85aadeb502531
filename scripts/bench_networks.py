"""Small networks of the bench, and the stock pipelines of its models around the engine's own network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gpu_sd3
import gpu_sit
import gpu_wan
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from torch import Tensor

from s2g.models.base import Conditioning

FLUX_SCALE = 3.5
FULL_STEPS = {"sd3": 28, "sd35": 28, "flux": 28, "wan_1_3b": 50, "sit_xl": 250}  # of the models' own runs
TEXT = "joint_attention_dim: 64, pooled_projection_dim: 64"
SMALL = {  # long enough a step that the rounds agree: tenths of a second
    "sd3": (
        "model.blocks=6",
        "model.resolution=256",
        "model.network={sample_size: 32, num_layers: 6, attention_head_dim: 32, num_attention_heads: 4, "
        f"{TEXT}, caption_projection_dim: 128, pos_embed_max_size: 64}}",
    ),
    "flux": (
        "model.blocks=6",
        "model.resolution=256",
        f"model.network={{num_layers: 2, num_single_layers: 4, attention_head_dim: 128, num_attention_heads: 1, {TEXT}}}",
    ),
    "wan_1_3b": (
        "model.blocks=4",
        "model.height=64",
        "model.width=96",
        "model.network={num_attention_heads: 4, attention_head_dim: 24, text_dim: 32, freq_dim: 16, ffn_dim: 192, "
        "num_layers: 4}",
    ),
    "sit_xl": gpu_sit.TINY,
}


def flux_stock(pipeline: Any, conditions: Mapping[str, Conditioning], noise: Tensor, steps: int) -> Tensor:
    """Return latents [B, N, 64] of FluxPipeline's own __call__ with true CFG, from noise of that shape."""
    cond, uncond = (conditions[name].tensors for name in ("cond", "uncond"))
    side = 16 * round(noise.shape[1] ** 0.5)
    given = {"prompt_embeds": cond["tokens"], "pooled_prompt_embeds": cond["pooled"]}
    given |= {"negative_prompt_embeds": uncond["tokens"], "negative_pooled_prompt_embeds": uncond["pooled"]}
    sizes: dict[str, Any] = {"height": side, "width": side, "num_inference_steps": steps, "true_cfg_scale": FLUX_SCALE}
    return pipeline(**given, latents=noise, output_type="latent", **sizes).images


def flux_of(denoiser: Any, sampler: Any) -> Any:
    """Build FluxPipeline around the engine's own network."""
    parts: dict[str, Any] = dict.fromkeys(("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    pipeline = FluxPipeline(transformer=denoiser.network, scheduler=sampler.scheduler(), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


SCALES = {"sd3": gpu_sd3.SCALE, "sd35": gpu_sd3.SCALE, "flux": FLUX_SCALE, "wan_1_3b": gpu_wan.SCALE}  # as the calls have them
# model -> its stock pipeline around a network, and its call; SiT has none, and the port of its official loop instead.
PIPELINES: dict[str, tuple[Callable[..., Any], Callable[..., Tensor]]] = {
    "sd3": (gpu_sd3.stock_of, gpu_sd3.by_stock),
    "sd35": (gpu_sd3.stock_of, gpu_sd3.by_stock),
    "flux": (flux_of, flux_stock),
    "wan_1_3b": (gpu_wan.stock_of, gpu_wan.by_stock),
}

# Of a rehearsal: seconds in all. SD3.5's has dual attention.
TINY: dict[str, tuple[str, ...]] = {**gpu_sd3.TINY, "wan_1_3b": (*gpu_wan.TINY, "model.frames=5"), "sit_xl": gpu_sit.TINY}

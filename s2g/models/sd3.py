"""Stable Diffusion 3 (arXiv 2403.03206) and 3.5: diffusers' transformer behind our adapter.

Shapes: B batch, C channels, S side of the latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.embeddings import PatchEmbed
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
from torch import Tensor

from s2g.config.pipelines import Located
from s2g.config.schema import ModelConfig
from s2g.models.base import Conditioning, Output
from s2g.models.family import SD3
from s2g.models.shared.pipeline_model import PipelineDenoiser, Shape
from s2g.models.shared.pipeline_network import build_on_meta
from s2g.models.shared.pipeline_text import truncation
from s2g.models.shared.prompt_cache import Embedded

CLIP_TOKENS, T5_TOKENS = 77, 256  # the stock pipeline's, with its default max_sequence_length


class SD3Denoiser(PipelineDenoiser):
    """An SD3 transformer behind its adapter: prompts are texts, uncond is the empty prompt, both in one batch."""

    family = SD3
    network_class = SD3Transformer2DModel
    order = ("uncond", "cond")
    stock_passes = "batched"

    @classmethod
    def shapes(cls, network: Mapping[str, Any], size: int) -> tuple[Shape, Shape]:
        side = size // int(network["patch_size"])
        return (int(network["in_channels"]), size, size), (side, side)

    @classmethod
    def fixed_tensors(cls, network: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the fixed table of positions [1, most², D], which a checkpoint holds as a buffer."""
        width = network["num_attention_heads"] * network["attention_head_dim"]
        size, patch = network["sample_size"], network["patch_size"]
        layer = PatchEmbed(size, size, patch, 1, width, pos_embed_max_size=network["pos_embed_max_size"])
        return {"pos_embed.pos_embed": layer.pos_embed.to(dtype)}  # type: ignore[union-attr]

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Predict the velocity [B, C, S, S]; the network is given the scheduler's timestep, or 1000 level, in float32."""
        network: Any = self.offload.use(self.network)
        t = torch.full((), 1000 * level, dtype=torch.float32, device=x.device) if timestep is None else timestep
        out = network(
            hidden_states=x.to(network.pos_embed.proj.weight.dtype),
            timestep=t.expand(x.shape[0]),
            encoder_hidden_states=conditioning.tensors["tokens"],
            pooled_projections=conditioning.tensors["pooled"],
            return_dict=False,
        )
        return Output(out[0])

    @classmethod
    def stock_pipeline(cls, config: ModelConfig, located: Located, arguments: Mapping[str, Any]) -> Any:
        """Return the pipeline of three encoders; without the third, zeros take its place, as in the stock pipeline."""
        # Without T5 the pipeline asks its transformer for the width of the zeros; one on the meta device knows it too.
        network = build_on_meta(SD3Transformer2DModel, located.network_config, config)
        others = {"transformer": network, "image_encoder": None, "feature_extractor": None}
        return StableDiffusion3Pipeline.from_pretrained(located.root, **arguments, **others)

    @staticmethod
    @torch.inference_mode()
    def embed(stock: Any, prompt: str, device: torch.device) -> Embedded:
        tokens, _, pooled, _ = stock.encode_prompt(
            prompt, None, None, device=device, do_classifier_free_guidance=False, max_sequence_length=T5_TOKENS
        )
        limits = {"tokenizer": CLIP_TOKENS, "tokenizer_2": CLIP_TOKENS, "tokenizer_3": T5_TOKENS}
        return Embedded({"tokens": tokens[0], "pooled": pooled[0]}, truncation(stock, prompt, limits))

"""FLUX.1 with true CFG: diffusers' transformer behind our adapter, two calls a step, on packed latents.

Shapes: B batch, h w tokens of the image, N = h w, 64 numbers a token (2 x 2 latents of 16 channels).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from torch import Tensor

from s2g.config.pipelines import Located
from s2g.config.schema import ModelConfig
from s2g.models.base import Conditioning, Output
from s2g.models.family import FLUX
from s2g.models.shared.pipeline_model import PipelineDenoiser, Shape
from s2g.models.shared.pipeline_text import truncation
from s2g.models.shared.prompt_cache import Embedded

CLIP_TOKENS, T5_TOKENS = 77, FLUX.text_tokens  # the stock pipeline's, with its default max_sequence_length
PATCH = 2  # latents along a token's side
DISTILLED = 3.5  # given to a guidance-distilled network (the stock pipeline's default); a de-distilled one has no such input


class FluxDenoiser(PipelineDenoiser):
    """A Flux transformer behind its adapter: prompts are texts, uncond is the empty prompt, one call for each."""

    family = FLUX
    network_class = FluxTransformer2DModel

    @classmethod
    def latent_size(cls, config: ModelConfig) -> int:
        """Return the tokens along the image's side."""
        return config.resolution // (cls.family.stride * PATCH)

    @classmethod
    def shapes(cls, network: Mapping[str, Any], size: int) -> tuple[Shape, Shape]:
        return (size * size, int(network["in_channels"])), (size, size)

    @classmethod
    def latent_channels(cls, network: Mapping[str, Any]) -> int:
        return int(network["in_channels"]) // PATCH**2

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Predict the velocity [B, N, 64]; the network is given the level, as a timestep of the network's dtype over 1000."""
        network: Any = self.offload.use(self.network)
        dtype = network.x_embedder.weight.dtype
        t = torch.full((), 1000 * level, dtype=torch.float32, device=x.device) if timestep is None else timestep
        tokens = conditioning.tensors["tokens"]
        distilled = self.network.config["guidance_embeds"]
        out = network(
            hidden_states=x.to(dtype),
            timestep=t.expand(x.shape[0]).to(dtype) / 1000,
            guidance=torch.full((x.shape[0],), DISTILLED, device=x.device) if distilled else None,
            encoder_hidden_states=tokens,
            pooled_projections=conditioning.tensors["pooled"],
            txt_ids=torch.zeros(tokens.shape[1], 3, device=x.device, dtype=dtype),
            img_ids=token_positions(*self.token_grid, x.device, dtype),
            return_dict=False,
        )
        return Output(out[0])

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(unpacked(latents, *self.token_grid))

    @classmethod
    def stock_pipeline(cls, config: ModelConfig, located: Located, arguments: Mapping[str, Any]) -> Any:
        """Return the pipeline of two encoders: T5 gives the tokens, CLIP the pooled vector."""
        others = {"transformer": None, "image_encoder": None, "feature_extractor": None}
        return FluxPipeline.from_pretrained(located.root, **arguments, **others)

    @staticmethod
    @torch.inference_mode()
    def embed(stock: Any, prompt: str, device: torch.device) -> Embedded:
        tokens, pooled, _ = stock.encode_prompt(prompt, None, device=device, max_sequence_length=T5_TOKENS)
        limits = {"tokenizer": CLIP_TOKENS, "tokenizer_2": T5_TOKENS}
        return Embedded({"tokens": tokens[0], "pooled": pooled[0]}, truncation(stock, prompt, limits))


@lru_cache(maxsize=4)
def token_positions(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the position of each of the image's tokens: [h w, 3] of (0, row, column)."""
    # Made on the device: a copy from the host would wait for it.
    sides = (torch.arange(side, device=device) for side in (height, width))
    rows, columns = torch.meshgrid(*sides, indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).flatten(0, 1).to(dtype)


def unpacked(tokens: Tensor, height: int, width: int) -> Tensor:
    """Return latents [B, C, 2 h, 2 w] of tokens [B, h w, 4 C]: a token holds, by channel, the four latents of its square."""
    grid = tokens.unflatten(1, (height, width)).unflatten(-1, (-1, PATCH, PATCH))
    return torch.einsum("bhwcpq->bchpwq", grid).flatten(4, 5).flatten(2, 3)

"""The decoder of text-to-image pipelines: an AutoencoderKL with a scale and a shift of its own.

Latents [B, C, S, S] to uint8 pixels [B, 3, 8 S, 8 S], in the pipeline's dtype and rounded as diffusers does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2g.config.schema import ModelConfig
from s2g.errors import NotFiniteError, UserError
from s2g.models.shared.offload import Offload
from s2g.models.shared.vae import random_vae, read_autoencoder


class PipelineDecoder:
    """Latents to pixels, one item at a time, so that memory and last bits do not depend on how many there are."""

    def __init__(self, vae: Any, offload: Offload, tiling: bool = False) -> None:
        """vae: an autoencoder of diffusers; tiling: decode in overlapping tiles, for large images on small devices."""
        self.vae, self.offload = vae.eval(), offload
        if tiling:
            vae.enable_tiling()

    def __call__(self, latents: Tensor) -> Tensor:
        vae: Any = self.offload.use(self.vae)
        dtype = next(vae.parameters()).dtype
        scaled = latents.float() / vae.config["scaling_factor"] + (vae.config["shift_factor"] or 0.0)
        decoded = (vae.decode(part.to(dtype), return_dict=False)[0] for part in scaled.split(1))
        return torch.cat([rounded(check_decoded(images, vae)) for images in decoded])

    @staticmethod
    def read(folder: Path, config: ModelConfig, channels: int, dtype: torch.dtype, variant: str = "") -> Any:
        """Return the autoencoder of a pipeline's folder; UserError if it fits neither its config.json nor the network."""
        vae = read_autoencoder(folder, f"{config.key} = {config.weights}: vae", dtype, variant)
        latent_channels, stride = vae.config["latent_channels"], 2 ** (len(vae.config["block_out_channels"]) - 1)
        if (latent_channels, stride) != (channels, config.traits.stride):
            raise UserError(
                f"{config.key} = {config.weights}: vae has {latent_channels} channels of {stride} pixels",
                allowed=f"{channels} channels of {config.traits.stride} pixels, for {config.name}",
            )
        return vae

    @staticmethod
    def random(seed: int, channels: int, dtype: torch.dtype) -> Any:
        """Return a narrow autoencoder with random weights: images of the right size without meaning."""
        return random_vae(seed, channels, dtype)


def check_decoded(images: Tensor, vae: Any) -> Tensor:
    """Return decoded values as they are; NotFiniteError that names the decoder where they are NaN or infinite."""
    if not torch.isfinite(images).all():
        dtype = str(images.dtype).removeprefix("torch.")
        raise NotFiniteError(f"not finite: decoded by the vae ({type(vae).__name__}, {dtype}) from finite latents")
    return images


def rounded(images: Tensor) -> Tensor:
    """Return uint8 of values in [-1, 1]: to the nearest, as VaeImageProcessor has it."""
    return ((images / 2 + 0.5).clamp(0, 1).float() * 255).round().to(torch.uint8)

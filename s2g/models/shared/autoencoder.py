"""The decoder of text-to-image pipelines: an AutoencoderKL with a scale and a shift of its own.

Latents [B, C, S, S] to uint8 pixels [B, 3, 8 S, 8 S], in the pipeline's dtype and rounded as diffusers does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.offload import Residence
from s2g.models.shared.random_weights import DECODER, random_state
from s2g.models.shared.vae import NARROW, STAGES, read_autoencoder

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

STRIDE = 8  # pixels of a latent, of every AutoencoderKL of these pipelines


class PipelineDecoder:
    """Latents to pixels, one image at a time, so that memory and last bits do not depend on how many there are."""

    def __init__(self, vae: AutoencoderKL, residence: Residence, tiling: bool = False) -> None:
        self.vae, self.residence = vae.eval(), residence
        if tiling:
            vae.enable_tiling()

    def __call__(self, latents: Tensor) -> Tensor:
        vae = self.residence.use(self.vae)
        dtype = next(vae.parameters()).dtype
        moved = latents.float() / self.vae.config["scaling_factor"] + (self.vae.config["shift_factor"] or 0.0)
        parts = (self.vae.decode(part.to(dtype), return_dict=False)[0] for part in moved.split(1))  # type: ignore[arg-type]
        return torch.cat([rounded(images) for images in parts])


def rounded(images: Tensor) -> Tensor:
    """uint8 from values in [-1, 1]: to the nearest, as VaeImageProcessor has it."""
    return ((images / 2 + 0.5).clamp(0, 1).float() * 255).round().to(torch.uint8)


def read_decoder(folder: Path, config: ModelConfig, channels: int, dtype: torch.dtype) -> AutoencoderKL:
    """The autoencoder of a pipeline's folder; UserError for one that does not fit its config.json, or the network."""
    vae = read_autoencoder(folder, f"{config.key} = {config.weights}: vae", dtype)
    found, stride = vae.config["latent_channels"], 2 ** (len(vae.config["block_out_channels"]) - 1)
    if (found, stride) != (channels, STRIDE):
        raise UserError(
            f"{config.key} = {config.weights}: vae has {found} channels of {stride} pixels",
            allowed=f"{channels} channels of {STRIDE} pixels, for {config.name}",
        )
    return vae


def random_decoder(seed: int, channels: int, dtype: torch.dtype) -> AutoencoderKL:
    """A narrow autoencoder with random weights: images of the right size and no meaning."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    down, up = STAGES
    with torch.device("meta"):
        vae = AutoencoderKL(latent_channels=channels, down_block_types=down, up_block_types=up, **NARROW)  # type: ignore[arg-type]
    state = random_state(vae, seed, DECODER)
    vae.load_state_dict({name: tensor.to(dtype) for name, tensor in state.items()}, strict=True, assign=True)
    return vae

"""The decoder of text-to-video pipelines: an AutoencoderKLWan with a mean and a deviation for every channel.

Latents [B, C, F, h, w] to uint8 videos [B, 3, 4 (F - 1) + 1, 8 h, 8 w]; always in fp32, and rounded as diffusers does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.autoencoder import PipelineDecoder, check_decoded, rounded
from s2g.models.shared.random_weights import DECODER, random_state
from s2g.models.shared.vae import read_whole

NARROW = 8  # ours, for random weights: channels of the widest images; the real one has 96


class VideoDecoder(PipelineDecoder):
    """Latents to videos, one at a time."""

    def __call__(self, latents: Tensor) -> Tensor:
        vae: Any = self.offload.use(self.vae)
        mean, std = (torch.tensor(vae.config[f"latents_{name}"]).view(-1, 1, 1, 1) for name in ("mean", "std"))
        # Divided by 1 / std, as the stock pipeline has it: a product differs in the last bit.
        scaled = latents.float() / (1.0 / std).to(latents.device) + mean.to(latents.device)
        decoded = (vae.decode(part, return_dict=False)[0] for part in scaled.split(1))
        return torch.cat([rounded(check_decoded(videos, vae)) for videos in decoded])

    @staticmethod
    def read(folder: Path, config: ModelConfig, channels: int, dtype: torch.dtype, variant: str = "") -> Any:
        """Return the autoencoder of a pipeline's folder, in fp32; UserError if it fits neither its config.json nor the
        network."""
        from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

        key, family = f"{config.key} = {config.weights}: vae", config.traits
        vae = read_whole(AutoencoderKLWan, folder, key, torch.float32, variant)
        names = ("z_dim", "scale_factor_temporal", "scale_factor_spatial")
        sizes = tuple(vae.config[name] for name in names)
        if sizes != (channels, family.frame_stride, family.stride):
            raise UserError(
                f"{key} has {sizes[0]} channels of {sizes[1]} frames and {sizes[2]} pixels",
                allowed=f"{channels} channels of {family.frame_stride} frames and {family.stride} pixels, for {config.name}",
            )
        return vae

    @staticmethod
    def random(seed: int, channels: int, dtype: torch.dtype) -> Any:
        """Return a narrow autoencoder with random weights, in fp32: videos of the right size without meaning."""
        from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

        with torch.device("meta"):
            vae = AutoencoderKLWan(base_dim=NARROW, z_dim=channels, num_res_blocks=1)
        vae.load_state_dict(random_state(vae, seed, DECODER), strict=True, assign=True)
        return vae

"""The decoder of text-to-video pipelines: an AutoencoderKLWan with a mean and a deviation for every channel.

Latents [B, C, F, h, w] to uint8 videos [B, 3, 4 (F - 1) + 1, 8 h, 8 w]; always in fp32, and rounded as diffusers does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.autoencoder import rounded
from s2g.models.shared.offload import Residence
from s2g.models.shared.random_weights import DECODER, random_state
from s2g.models.shared.vae import read_whole
from s2g.models.video import FRAMES, STRIDE

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

NARROW = 8  # ours, for random weights: channels of the widest images, of the real one's 96


class VideoDecoder:
    """Latents to pixels, one video at a time, so that memory and last bits do not depend on how many there are."""

    def __init__(self, vae: AutoencoderKLWan, residence: Residence, tiling: bool = False) -> None:
        self.vae, self.residence = vae.eval(), residence
        if tiling:
            vae.enable_tiling()

    def __call__(self, latents: Tensor) -> Tensor:
        vae: Any = self.residence.use(self.vae)
        mean, std = (torch.tensor(self.vae.config[f"latents_{name}"]).view(-1, 1, 1, 1) for name in ("mean", "std"))
        # Divided by 1 / std, as the stock pipeline has it: a product differs in the last bit.
        moved = latents.float() / (1.0 / std).to(latents.device) + mean.to(latents.device)
        return torch.cat([rounded(vae.decode(part, return_dict=False)[0]) for part in moved.split(1)])


def read_video_decoder(folder: Path, config: ModelConfig, channels: int) -> AutoencoderKLWan:
    """The autoencoder of a pipeline's folder; UserError for one that does not fit its config.json, or the network."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    said = f"{config.key} = {config.weights}: vae"
    vae = read_whole(AutoencoderKLWan, folder, said, torch.float32)
    names = ("z_dim", "scale_factor_temporal", "scale_factor_spatial")
    if tuple(vae.config[name] for name in names) != (channels, FRAMES, STRIDE):
        found, frames, stride = (vae.config[name] for name in names)
        raise UserError(
            f"{said} has {found} channels of {frames} frames and {stride} pixels",
            allowed=f"{channels} channels of {FRAMES} frames and {STRIDE} pixels, for {config.name}",
        )
    return vae


def random_video_decoder(seed: int, channels: int) -> AutoencoderKLWan:
    """A narrow autoencoder with random weights: videos of the right size and no meaning."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    with torch.device("meta"):
        vae = AutoencoderKLWan(base_dim=NARROW, z_dim=channels, num_res_blocks=1)
    vae.load_state_dict(random_state(vae, seed, DECODER), strict=True, assign=True)
    return vae

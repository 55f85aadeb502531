"""The decoder of latent models: diffusers' AutoencoderKL, of which the half that makes images is kept.

Shapes: latents [B, 4, S, S] to images [B, 3, 8 S, 8 S] in about [-1, 1]. Always fp32, as in the official scripts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from s2g.config.schema import ModelConfig, WeakConfig
from s2g.config.weights import decoder_folder, random_seed
from s2g.errors import UserError
from s2g.models.shared.quiet import quiet
from s2g.models.shared.random_weights import DECODER, random_state
from s2g.models.shared.weights import check_finite, fresh

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

N = TypeVar("N", bound=nn.Module)
SCALE = 0.18215  # latents are this times the encoder's; SiT's and DiT's scripts, and diffusers' config of the same VAE
CHUNK = 8  # images at once (ours): on a CPU one of 256x256 takes 0.34 GB beside the weights, a second 0.1 GB more
# Ours, for random weights: as many stages as the real one, so the same sizes of images, and a thousandth of the work.
STAGES = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
NARROW = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}


class Decoder:
    """Latents to images, a few at a time, so that memory does not grow with their number; an iterator of parts."""

    def __init__(self, vae: AutoencoderKL, chunk: int = CHUNK) -> None:
        self.vae, self.chunk = vae, chunk

    def __call__(self, latents: Tensor) -> Iterator[Tensor]:
        for part in latents.split(self.chunk):
            yield self.vae.decode(part.float() / SCALE, return_dict=False)[0]  # type: ignore[arg-type]


def load_decoder(config: ModelConfig, channels: int, device: torch.device) -> Decoder | None:
    """Load the decoder of `config`; None where latents are pixels, or of a weaker network, whose latents are never decoded.

    UserError for one that does not fit.
    """
    if isinstance(config, WeakConfig):
        return None
    if config.decoder == "none":
        if channels not in (1, 3):
            raise UserError(
                f"model.vae = none: {config.name} has latents of {channels} channels, which are no image",
                todo="model.vae=FOLDER, or a repository of the hub",
            )
        return None
    seed = random_seed(config.decoder)
    if seed is not None:
        vae = random_vae(seed, channels)
    else:
        vae = read_autoencoder(decoder_folder(config.decoder, "model.vae"), f"model.vae = {config.vae}")
    latent_channels = vae.config["latent_channels"]
    if latent_channels != channels:
        raise UserError(f"model.vae = {config.vae}: decodes {latent_channels} channels, and {config.name} has {channels}")
    if (scale := vae.config["scaling_factor"]) != SCALE:  # SDXL's has four channels too
        raise UserError(
            f"model.vae = {config.vae}: its latents are {scale} times its encoder's, and {config.name}'s are {SCALE} times",
            allowed="Stable Diffusion 1's decoder: stabilityai/sd-vae-ft-ema or -mse",
        )
    del vae.encoder, vae.quant_conv
    nn.Module.to(vae, device)  # diffusers' own `to` says nothing of its types
    return Decoder(vae.eval())


def random_vae(seed: int, channels: int = 4, dtype: torch.dtype = torch.float32) -> AutoencoderKL:
    """Return a narrow autoencoder with random weights: images of the right size without meaning."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    down, up = STAGES
    with torch.device("meta"):
        vae = AutoencoderKL(latent_channels=channels, down_block_types=down, up_block_types=up, **NARROW)  # type: ignore[arg-type]
    state = random_state(vae, seed, DECODER, dtype=lambda name: dtype)
    vae.load_state_dict(state, strict=True, assign=True)
    return vae


def read_autoencoder(folder: Path, named: str, dtype: torch.dtype = torch.float32, variant: str = "") -> AutoencoderKL:
    """Read an AutoencoderKL from a folder; UserError if its weights do not fit its config.json."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return read_whole(AutoencoderKL, folder, named, dtype, variant)


def read_whole(kind: type[N], folder: Path, named: str, dtype: torch.dtype, variant: str = "") -> N:
    """Load through diffusers, which renames layers of older files; refuse what it would leave at random values."""
    reader: Any = kind
    try:
        with quiet():
            vae, loading_info = reader.from_pretrained(
                folder, local_files_only=True, torch_dtype=dtype, variant=variant or None, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        first_line = str(error).splitlines()[0]
        raise UserError(f"{named}: no {kind.__name__} ({first_line})", allowed="diffusers' layout") from error
    mismatches = [
        f"{kind.removesuffix('_keys')} {', '.join(map(str, list(loading_info[kind])[:3]))}"
        for kind in loading_info
        if loading_info[kind]
    ]
    if mismatches:
        raise UserError(f"{named}: its weights do not fit its config.json; {'; '.join(mismatches)}")
    check_finite(vae.state_dict(), named)
    return fresh(vae)

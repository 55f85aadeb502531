"""The built-in text-to-video model: diffusers' Wan transformer on pixels, beside the small text encoder trained with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor, nn

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.base import Conditioning, Output
from s2g.models.shared.weights import check_state, read_weights
from s2g.models.sit import pixels_of
from s2g.models.wan import WanDenoiser, positions
from s2g.worlds.shapes.text_encoder import WordEncoder, WordText
from s2g.worlds.shapes.vocabulary import VIDEOS


class TinyWan(nn.Module):
    """Velocity (noise - data) of x [B, C, F, H, W] at noise level s [B], given tokens [B, length]."""

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__()
        known: dict[str, Any] = dict(network)
        self.transformer = WanTransformer3DModel(**known)
        self.text = WordEncoder(known["text_dim"], vocabulary=VIDEOS)

    def forward(self, x: Tensor, level: Tensor, tokens: Tensor) -> Tensor:
        return self.transformer(with_places(x), 1000 * level, self.text(tokens)[0], return_dict=False)[0]


def with_places(x: Tensor) -> Tensor:
    """x [B, C, F, H, W] with three channels more that say where in the film a pixel is: frame, row and column, from -1 to 1.

    Rotary positions say how far two tokens are from each other, not which frame is first nor where left is. Wan's latents
    tell: its decoder has the first frame alone in a latent, and zeros around every frame. Pixels do not, and then objects move
    along the right line in either direction (measured; docs/videos.md).
    """
    axes = [torch.linspace(-1, 1, size, dtype=x.dtype, device=x.device) for size in x.shape[2:]]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return torch.cat([x, places.expand(x.shape[0], *places.shape)], dim=1)


def initialise(model: TinyWan) -> None:
    """As SiT's: Xavier for matrices, zero for every gate, what cross-attention adds, and the head: blocks begin as nothing."""
    for name, parameter in model.transformer.named_parameters():
        gate = any(part in name for part in ("scale_shift_table", "time_proj", "attn2.to_out", "proj_out"))
        if name.endswith("bias") or gate:
            nn.init.zeros_(parameter)
        elif name.startswith("condition_embedder"):
            nn.init.normal_(parameter, std=0.02)
        elif parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter.data.view(parameter.shape[0], -1))


def made(config: ModelConfig) -> TinyWan:
    """The network without numbers, on the meta device; UserError for sizes that make none."""
    try:
        with torch.device("meta"):
            return TinyWan(config.network)
    except (TypeError, KeyError, AssertionError, ZeroDivisionError, RuntimeError, ValueError) as error:
        raise UserError(f"{config.network_key} = {dict(config.network)}: no such Wan ({error})") from error


class TinyWanDenoiser(WanDenoiser):
    """As Wan's adapter, with captions of the built-in world as prompts, and pixels for latents."""

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """The network of `config` with its weights on `device`; UserError for a file that does not fit."""
        pair, state = made(config), read_weights(config.weights_file(), config.key)
        check_state(pair, state, config)
        pair.load_state_dict({name: value.to(dtype) for name, value in state.items()}, strict=True, assign=True)
        pair.transformer.rope = positions(pair.transformer)
        return cls.of(pair.to(device).eval(), config)

    @classmethod
    def twin(cls, config: ModelConfig) -> Self:
        """The same network without numbers, on the meta device: for counting FLOPs."""
        return cls.of(made(config).eval(), config)

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        return super().forward(with_places(x), level, conditioning, timestep)

    @classmethod
    def of(cls, pair: TinyWan, config: ModelConfig) -> Self:
        """Around a network that is there."""
        text = WordText(pair.text.requires_grad_(False))
        found = cls(pair.transformer, text, pixels_of, config.video, config.passes)
        found.latent_shape = (int(pair.transformer.config["out_channels"]), *config.video)  # without the places
        return found

    @classmethod
    def remember(cls, config: ModelConfig, prompts: Sequence[str], device: torch.device, dtype: torch.dtype) -> None:
        """Nothing: its text encoder is a part of its weights, and small."""

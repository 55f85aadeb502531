"""The built-in text-to-video model: diffusers' Wan transformer on pixels, beside the small text encoder trained with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor

from s2g.models.base import Conditioning, Output
from s2g.models.family import TINY_WAN
from s2g.models.shared import built_in
from s2g.models.shared.built_in import BuiltInDenoiser, CaptionedModel
from s2g.models.shared.pipeline_model import Shape
from s2g.models.wan import WanDenoiser
from s2g.worlds.shapes.text_encoder import WordEncoder
from s2g.worlds.shapes.vocabulary import VIDEOS


class TinyWan(CaptionedModel):
    """Velocity (noise - data) of x [B, C, F, H, W] at noise level s [B], given tokens [B, length]."""

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__(network)
        settings: dict[str, Any] = dict(network)
        self.transformer = WanTransformer3DModel(**settings)
        self.text = WordEncoder(settings["text_dim"], vocabulary=VIDEOS)

    def forward(self, x: Tensor, level: Tensor, tokens: Tensor) -> Tensor:
        return self.transformer(with_positions(x), 1000 * level, self.text(tokens)[0], return_dict=False)[0]


def with_positions(x: Tensor) -> Tensor:
    """Return x [B, C, F, H, W] with three more channels: the frame, row and column of each pixel, from -1 to 1.

    Rotary positions tell how far apart two tokens are, not which frame is first or which side is left. Wan's latents do
    tell: its decoder keeps the first frame alone in a latent, and pads every frame with zeros. Pixels do not, and without
    these channels objects move along the right line in either direction (measured; docs/videos.md).
    """
    axes = [torch.linspace(-1, 1, size, dtype=x.dtype, device=x.device) for size in x.shape[2:]]
    positions = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return torch.cat([x, positions.expand(x.shape[0], *positions.shape)], dim=1)


def initialise(model: TinyWan) -> None:
    """Initialise the transformer for training."""
    zero = ("scale_shift_table", "time_proj", "attn2.to_out", "proj_out")
    built_in.initialise(model.transformer, zero, "condition_embedder")


class TinyWanDenoiser(BuiltInDenoiser, WanDenoiser):
    """Wan's adapter on captions and pixels of the built-in world."""

    family = TINY_WAN
    model_class = TinyWan

    @classmethod
    def shapes(cls, network: Mapping[str, Any], size: tuple[int, int, int]) -> tuple[Shape, Shape]:
        latents, grid = super().shapes(network, size)
        return (int(network["out_channels"]), *latents[1:]), grid  # without the channels of positions

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        return super().forward(with_positions(x), level, conditioning, timestep)

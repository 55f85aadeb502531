"""The built-in text-to-image model: diffusers' SD3 transformer on pixels, beside the small text encoder trained with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from torch import Tensor

from s2g.models.family import TINY_SD3
from s2g.models.sd3 import SD3Denoiser
from s2g.models.shared import built_in
from s2g.models.shared.built_in import BuiltInDenoiser, CaptionedModel
from s2g.worlds.shapes.text_encoder import WordEncoder


class TinySD3(CaptionedModel):
    """Velocity (noise - data) of x [B, C, S, S] at noise level s [B], given tokens [B, LENGTH]."""

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__(network)
        settings: dict[str, Any] = dict(network)
        self.transformer = SD3Transformer2DModel(**settings)
        self.text = WordEncoder(settings["joint_attention_dim"])

    def forward(self, x: Tensor, level: Tensor, tokens: Tensor) -> Tensor:
        words, pooled = self.text(tokens)
        return self.transformer(x, words, pooled, 1000 * level, return_dict=False)[0]


def initialise(model: TinySD3) -> None:
    """Initialise the transformer for training."""
    zero = ("norm1.linear", "norm1_context.linear", "norm_out.linear", "proj_out")
    built_in.initialise(model.transformer, zero, "time_text_embed")


class TinySD3Denoiser(BuiltInDenoiser, SD3Denoiser):
    """SD3's adapter on captions and pixels of the built-in world."""

    family = TINY_SD3
    model_class = TinySD3

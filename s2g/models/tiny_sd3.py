"""The built-in text-to-image network: diffusers' SD3 transformer beside the small text encoder that was trained with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from torch import Tensor, nn

from s2g.shapes.words import WordEncoder


class TinySD3(nn.Module):
    """Velocity (noise - data) of x [B, C, S, S] at noise level s [B], given tokens [B, LENGTH]."""

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__()
        known: dict[str, Any] = dict(network)
        self.transformer = SD3Transformer2DModel(**known)
        self.text = WordEncoder(known["joint_attention_dim"])

    def forward(self, x: Tensor, level: Tensor, tokens: Tensor) -> Tensor:
        words, pooled = self.text(tokens)
        return self.transformer(x, words, pooled, 1000 * level, return_dict=False)[0]


def initialise(model: TinySD3) -> None:
    """As SiT's: Xavier for matrices, zero for every gate and the head, so that a fresh block does nothing."""
    for name, parameter in model.transformer.named_parameters():
        gate = any(part in name for part in ("norm1.linear", "norm1_context.linear", "norm_out.linear", "proj_out"))
        if name.endswith("bias") or gate:
            nn.init.zeros_(parameter)
        elif name.startswith("time_text_embed"):
            nn.init.normal_(parameter, std=0.02)
        elif parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter.data.view(parameter.shape[0], -1))

"""The built-in text-to-video model: diffusers' Wan transformer on pixels, beside the small text encoder trained with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor, nn

from s2g.shapes.vocabulary import VIDEOS
from s2g.shapes.words import WordEncoder


class TinyWan(nn.Module):
    """Velocity (noise - data) of x [B, C, F, H, W] at noise level s [B], given tokens [B, length]."""

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__()
        known: dict[str, Any] = dict(network)
        self.transformer = WanTransformer3DModel(**known)
        self.text = WordEncoder(known["text_dim"], vocabulary=VIDEOS)

    def forward(self, x: Tensor, level: Tensor, tokens: Tensor) -> Tensor:
        return self.transformer(x, 1000 * level, self.text(tokens)[0], return_dict=False)[0]


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

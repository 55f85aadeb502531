"""The built-in text-to-image model: diffusers' SD3 transformer on pixels, beside the small text encoder trained with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from torch import Tensor, nn

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.sd3 import SD3Denoiser
from s2g.models.shared.weights import check_state, read_weights
from s2g.models.sit import pixels_of
from s2g.worlds.shapes.text_encoder import WordEncoder, WordText


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


def made(config: ModelConfig) -> TinySD3:
    """The network without numbers, on the meta device; UserError for sizes that make none."""
    try:
        with torch.device("meta"):
            return TinySD3(config.network)
    except (TypeError, KeyError, AssertionError, ZeroDivisionError, RuntimeError, ValueError) as error:
        raise UserError(f"{config.network_key} = {dict(config.network)}: no such SD3 ({error})") from error


class TinySD3Denoiser(SD3Denoiser):
    """As SD3's adapter, with captions of the built-in world as prompts, and pixels for latents."""

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """The network of `config` with its weights on `device`; UserError for a file that does not fit."""
        pair, state = made(config), read_weights(config.weights_file(), config.key)
        check_state(pair, state, config)
        pair.load_state_dict({name: value.to(dtype) for name, value in state.items()}, strict=True, assign=True)
        return cls.of(pair.to(device).eval(), config)

    @classmethod
    def twin(cls, config: ModelConfig) -> Self:
        """The same network without numbers, on the meta device: for counting FLOPs."""
        return cls.of(made(config).eval(), config)

    @classmethod
    def of(cls, pair: TinySD3, config: ModelConfig) -> Self:
        """Around a network that is there."""
        text = WordText(pair.text.requires_grad_(False))
        return cls(pair.transformer, text, pixels_of, config.resolution, config.passes)

    @classmethod
    def remember(cls, config: ModelConfig, prompts: Sequence[str], device: torch.device, dtype: torch.dtype) -> None:
        """Nothing: its text encoder is a part of its weights, and small."""

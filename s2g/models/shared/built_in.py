"""Base of the built-in text models: a diffusers transformer on pixels, beside the small text encoder trained with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import nn

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.pipeline_model import PipelineDenoiser
from s2g.models.shared.weights import check_finite, check_state, read_weights
from s2g.models.sit import pixels_of
from s2g.worlds.shapes.text_encoder import WordEncoder, WordText


class CaptionedModel(nn.Module):
    """A transformer and its text encoder, trained together: what a built-in weights file holds."""

    transformer: nn.Module
    text: WordEncoder

    def __init__(self, network: Mapping[str, Any]) -> None:
        """network: settings of the transformer."""
        super().__init__()


def initialise(transformer: nn.Module, zero: tuple[str, ...], embedders: str) -> None:
    """Initialise as SiT: Xavier for matrices, zero for gates and head (parameters with a part of `zero` in their name), so
    that a new block does nothing; small numbers for what embeds time and text (names that begin with `embedders`)."""
    for name, parameter in transformer.named_parameters():
        if name.endswith("bias") or any(part in name for part in zero):
            nn.init.zeros_(parameter)
        elif name.startswith(embedders):
            nn.init.normal_(parameter, std=0.02)
        elif parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter.data.view(parameter.shape[0], -1))


class BuiltInDenoiser(PipelineDenoiser):
    """The adapter of a pipeline, with captions of the built-in world as prompts and pixels for latents."""

    model_class: ClassVar[type[CaptionedModel]]

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """Return the network of `config` with its weights on `device`; UserError for a file that does not fit."""
        model = cls.build(config)
        state = read_weights(config.weights_file(), config.key, model.state_dict().keys())
        check_state(model, state, config)
        check_finite(state, f"{config.key} = {config.weights}")
        model.load_state_dict({name: value.to(dtype) for name, value in state.items()}, strict=True, assign=True)
        cls.finish(model.transformer)
        return cls.of(model.to(device).eval(), config)

    @classmethod
    def meta_model(cls, config: ModelConfig) -> Self:
        """Return the same network without numbers, on the meta device: for counting FLOPs."""
        return cls.of(cls.build(config).eval(), config)

    @classmethod
    def build(cls, config: ModelConfig) -> CaptionedModel:
        """Return the network without numbers, on the meta device; UserError for settings that make none."""
        try:
            with torch.device("meta"):
                return cls.model_class(config.network)
        except (TypeError, KeyError, AssertionError, ZeroDivisionError, RuntimeError, ValueError) as error:
            kind = cls.model_class.__name__.removeprefix("Tiny")
            raise UserError(f"{config.network_key} = {dict(config.network)}: no such {kind} ({error})") from error

    @classmethod
    def of(cls, model: CaptionedModel, config: ModelConfig) -> Self:
        """Return the adapter of a network in memory."""
        text = WordText(model.text.requires_grad_(False))
        return cls(model.transformer, text, pixels_of, cls.latent_size(config), config.passes)

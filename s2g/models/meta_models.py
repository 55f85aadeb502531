"""Networks on the meta device, where a forward pass has shapes and FLOPs but no numbers: what a plan counts with.

Every adapter builds its own (`meta_model`), of the sizes that configs/model/*.yaml state; no weights are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from s2g.config.registry import MODELS
from s2g.config.schema import ModelConfig

if TYPE_CHECKING:
    from s2g.models.base import Denoiser


@dataclass(frozen=True)
class MetaModel:
    """A network without numbers, its blocks in execution order, and a forward pass of one item."""

    network: nn.Module
    blocks: Sequence[nn.Module]
    call: Callable[[], object]

    @staticmethod
    def of(denoiser: Denoiser, prompt: str | int) -> MetaModel:
        """Return the network of an adapter on the meta device; prompt: any that it takes."""
        x = torch.empty(1, *denoiser.latent_shape, device="meta")
        conditioning, timestep = denoiser.encode([prompt])["cond"], torch.empty((), device="meta")
        return MetaModel(denoiser.network, denoiser.blocks, lambda: denoiser.forward(x, 0.5, conditioning, timestep))

    def parameters(self) -> int:
        """Return the number of values of its parameters; SD3's table of positions is a buffer and does not count."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def meta_model(model: ModelConfig) -> MetaModel:
    """Return the network that a configuration states; UserError for an unknown family."""
    return MetaModel.of(MODELS.load(model.family).meta_model(model), "" if model.reads_text else 0)

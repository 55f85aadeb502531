"""The shape every model has, from toy to Wan-14B: what the engine may ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from s2g.models.convention import Convention


@dataclass(frozen=True)
class Conditioning:
    """What one condition feeds the network for B items: named tensors, batch first."""

    tensors: dict[str, Tensor]

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Join several conditions into one batch, in the given order."""
        if len(parts) == 1:
            return parts[0]
        return Conditioning({name: torch.cat([part.tensors[name] for part in parts]) for name in parts[0].tensors})

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the tensors that hold a text token by token: embeddings [B, T, D], or numbers of words [B, T]."""
        return tuple(
            name
            for name, tensor in self.tensors.items()
            if tensor.ndim == 3 or (tensor.ndim == 2 and not tensor.is_floating_point())
        )

    def with_text_of(self, other: Conditioning) -> Conditioning:
        """Return this condition with the text of another; what is not a text, such as a pooled vector, stays."""
        return Conditioning({**self.tensors, **{name: other.tensors[name] for name in self.texts}})

    def halfway(self, other: Conditioning) -> Conditioning:
        """Return this condition with every second token of its text from another, and the mean of what is not a text."""
        mixed = {}
        for name, tensor in self.tensors.items():
            if name in self.texts:
                mixed[name] = tensor.clone()
                mixed[name][:, 1::2] = other.tensors[name][:, 1::2]
            else:
                mixed[name] = (tensor + other.tensors[name]) / 2
        return Conditioning(mixed)


@dataclass(frozen=True)
class Output:
    """A raw prediction [B, ...], and DiT's variance channels if the model has them."""

    prediction: Tensor
    variance: Tensor | None = None


class Denoiser(Protocol):
    """A network behind its adapter."""

    # Properties, since they are only read: an adapter may have a more specific type of network, or fixed values.
    @property
    def network(self) -> nn.Module: ...

    @property
    def convention(self) -> Convention: ...

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of one item."""
        ...

    @property
    def token_grid(self) -> tuple[int, ...]:
        """(H, W) or (F, H, W), in tokens."""
        ...

    @property
    def passes(self) -> str:
        """ "batched": cond and uncond in one call; "separate": one call each."""
        ...

    @property
    def order(self) -> tuple[str, ...]:
        """The stock pipeline's order of conditions."""
        ...

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Residual blocks in execution order: what can be dropped."""
        ...

    def encode(self, prompts: Sequence[Any]) -> Mapping[str, Conditioning]:
        """Return the conditionings "cond" and "uncond" of B prompts (labels, for class-conditional models)."""
        ...

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Predict at x [B, *latent_shape] and noise level; `timestep` is the scheduler's own, where one drives."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents [B, *latent_shape] to uint8 pixels [B, 3, H, W], or float32 points [B, D]."""
        ...

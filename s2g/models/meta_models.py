"""Networks on the meta device, where a forward pass has shapes and FLOPs but no numbers: what a plan counts with.

No weights are read and no GPU is used. Sizes are those that configs/model/*.yaml state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from s2g.config.schema import ModelConfig
from s2g.errors import unknown
from s2g.models.video import latent_size

if TYPE_CHECKING:
    from s2g.models.sit import SiT

TEXT_TOKENS = {"sd3": 333, "flux": 512, "wan": 512}  # 77 of CLIP and 256 of T5; T5; UMT5


@dataclass(frozen=True)
class MetaModel:
    """A network without numbers, its blocks in execution order, and a forward pass of one item."""

    network: nn.Module
    blocks: Sequence[nn.Module]
    call: Callable[[], object]

    def parameters(self) -> int:
        """How many numbers its parameters hold; SD3's table of positions is a buffer and does not count."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def meta_model(model: ModelConfig) -> MetaModel:
    """The network a configuration describes, without numbers; UserError for a family that nobody described."""
    if model.family not in FAMILIES:
        raise unknown("model.family", model.family, FAMILIES)
    with torch.device("meta"):
        return FAMILIES[model.family](model)


def _zeros(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def _sit(model: ModelConfig) -> MetaModel:
    """SiT and DiT: the same layers under two ways of being trained."""
    from s2g.models.sit import SiT

    known: dict[str, Any] = dict(model.network)
    network: SiT = SiT(**known).eval()
    labels = torch.empty(1, dtype=torch.int64, device="meta")
    size, channels = known["size"], known["channels"]
    return MetaModel(network, list(network.blocks), lambda: network(_zeros(1, channels, size, size), _zeros(1), labels))


def _sd3(model: ModelConfig) -> MetaModel:
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    known: dict[str, Any] = dict(model.network)
    network = SD3Transformer2DModel(**known).eval()
    side, text = model.resolution // 8, TEXT_TOKENS["sd3"]
    image, pooled = _zeros(1, known["in_channels"], side, side), _zeros(1, known["pooled_projection_dim"])
    words = _zeros(1, text, known["joint_attention_dim"])
    return MetaModel(network, list(network.transformer_blocks), lambda: network(image, words, pooled, _zeros(1)))


def _flux(model: ModelConfig) -> MetaModel:
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    known: dict[str, Any] = dict(model.network)
    network = FluxTransformer2DModel(**known).eval()
    tokens, text = (model.resolution // 16) ** 2, TEXT_TOKENS["flux"]
    return MetaModel(
        network,
        [*network.transformer_blocks, *network.single_transformer_blocks],
        lambda: network(
            hidden_states=_zeros(1, tokens, known["in_channels"]),
            encoder_hidden_states=_zeros(1, text, known["joint_attention_dim"]),
            pooled_projections=_zeros(1, known["pooled_projection_dim"]),
            timestep=_zeros(1),
            img_ids=_zeros(tokens, 3),
            txt_ids=_zeros(text, 3),
        ),
    )


def _wan(model: ModelConfig) -> MetaModel:
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    known: dict[str, Any] = dict(model.network)
    network = WanTransformer3DModel(**known).eval()
    video = _zeros(1, known["in_channels"], *latent_size(*model.video))
    words = _zeros(1, TEXT_TOKENS["wan"], known["text_dim"])
    return MetaModel(network, list(network.blocks), lambda: network(video, _zeros(1), words))


def _built_in(model: ModelConfig) -> MetaModel:
    from s2g.config.registry import MODELS
    from s2g.models.base import Denoiser

    twin: Denoiser = MODELS.load(model.family).twin(model)
    conditioning = twin.encode(["" if model.reads_text else 0])["cond"]
    return MetaModel(twin.network, twin.blocks, lambda: twin.forward(_zeros(1, *twin.latent_shape), 0.5, conditioning))


FAMILIES: dict[str, Callable[[ModelConfig], MetaModel]] = {
    "sit": _sit,
    "dit": _sit,
    "sd3": _sd3,
    "flux": _flux,
    "wan": _wan,
    "captioned": _built_in,
    "toy": _built_in,
    "gmm": _built_in,
}

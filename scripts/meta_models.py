"""The full-size networks on the meta device, where a forward pass has shapes and FLOPs but no numbers.

No weights are read and no GPU is used. Sizes are those of the published configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel, WanTransformer3DModel
from torch import Tensor, nn

from s2g.engine.cost import PassCost, measure
from s2g.models.sit import SiT


@dataclass(frozen=True)
class MetaModel:
    """A network without numbers, its blocks in execution order, and a forward pass of one item."""

    network: nn.Module
    blocks: Sequence[nn.Module]
    call: Callable[[], object]

    def parameters(self) -> int:
        """How many numbers its parameters hold; SD3's table of positions is a buffer and does not count."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def cost(self) -> PassCost:
        """FLOPs of one forward pass, by block."""
        with torch.no_grad():
            return measure(self.network, self.blocks, self.call)


def _zeros(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def sit_xl() -> MetaModel:
    """SiT-XL/2 at 256 x 256: 32 x 32 latents, 256 tokens."""
    with torch.device("meta"):
        network = SiT().eval()
    labels = torch.empty(1, dtype=torch.int64, device="meta")
    return MetaModel(network, list(network.blocks), lambda: network(_zeros(1, 4, 32, 32), _zeros(1), labels))


def sd3_medium() -> MetaModel:
    """SD3-medium at 1024 x 1024: 4096 image and 77 + 256 text tokens."""
    return _sd3(pos_embed_max_size=192)


def sd35_medium() -> MetaModel:
    """SD3.5-medium: a second attention over the image in its first 13 blocks, normalised queries and keys."""
    return _sd3(pos_embed_max_size=384, dual_attention_layers=tuple(range(13)), qk_norm="rms_norm")


def _sd3(**sizes: object) -> MetaModel:
    with torch.device("meta"):
        network = SD3Transformer2DModel(
            sample_size=128, patch_size=2, in_channels=16, num_layers=24, attention_head_dim=64, num_attention_heads=24,
            joint_attention_dim=4096, caption_projection_dim=1536, pooled_projection_dim=2048, out_channels=16, **sizes,
        ).eval()  # fmt: skip
    return MetaModel(
        network,
        list(network.transformer_blocks),
        lambda: network(_zeros(1, 16, 128, 128), _zeros(1, 333, 4096), _zeros(1, 2048), _zeros(1)),
    )


def flux() -> MetaModel:
    """Flux dev, de-distilled (no guidance embedding), at 1024 x 1024: 4096 image and 512 text tokens."""
    with torch.device("meta"):
        network = FluxTransformer2DModel(
            in_channels=64, num_layers=19, num_single_layers=38, attention_head_dim=128, num_attention_heads=24,
            joint_attention_dim=4096, pooled_projection_dim=768, guidance_embeds=False,
        ).eval()  # fmt: skip
    return MetaModel(
        network,
        [*network.transformer_blocks, *network.single_transformer_blocks],
        lambda: network(
            hidden_states=_zeros(1, 4096, 64),
            encoder_hidden_states=_zeros(1, 512, 4096),
            pooled_projections=_zeros(1, 768),
            timestep=_zeros(1),
            img_ids=_zeros(4096, 3),
            txt_ids=_zeros(512, 3),
        ),
    )


def wan_1_3b() -> MetaModel:
    """Wan2.1 1.3B at 480 x 832 and 81 frames: 21 x 30 x 52 tokens, 512 of text."""
    with torch.device("meta"):
        network = WanTransformer3DModel(
            num_attention_heads=12, attention_head_dim=128, in_channels=16, out_channels=16, text_dim=4096, freq_dim=256,
            ffn_dim=8960, num_layers=30,
        ).eval()  # fmt: skip
    return MetaModel(
        network,
        list(network.blocks),
        lambda: network(_zeros(1, 16, 21, 60, 104), _zeros(1), _zeros(1, 512, 4096)),
    )


FULL_SIZE: dict[str, Callable[[], MetaModel]] = {
    "SD3-medium 1024x1024": sd3_medium,
    "SD3.5-medium 1024x1024": sd35_medium,
    "Flux 1024x1024": flux,
    "Wan 1.3B 480x832x81": wan_1_3b,
    "SiT-XL/2 256x256": sit_xl,
}

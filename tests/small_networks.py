"""Small randomly initialised networks of every architecture, behind the Denoiser protocol.

All weights are drawn anew: the default initialisation has gates near zero, and with it dropping a block hardly shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from diffusers import DiTTransformer2DModel, FluxTransformer2DModel, SD3Transformer2DModel, WanTransformer3DModel
from torch import Tensor, nn

from s2g.models.base import Conditioning, Output
from s2g.models.convention import Flow
from s2g.models.sit import SiT, SiTDenoiser
from s2g.network.blocks import register_block

TEXT, WIDTH, POOLED = 5, 24, 16  # of the made-up text encoders


class ToyBlock(nn.Module):
    """A residual block that nobody but these tests knows; z [B, N, D] is its state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, shift: Tensor, z: Tensor) -> Tensor:
        return z + self.inner(z + shift)


class ToyNetwork(nn.Module):
    """A stem, a stack of residual blocks and a head."""

    def __init__(self, width: int = 16, depth: int = 8) -> None:
        super().__init__()
        self.stem, self.label, self.head = nn.Linear(4, width), nn.Linear(WIDTH, width), nn.Linear(width, 4)
        self.blocks = nn.ModuleList([ToyBlock(width) for _ in range(depth)])

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        z, shift = self.stem(x), self.label(text).mean(dim=1, keepdim=True)
        for block in self.blocks:
            z = block(shift, z=z)
        return self.head(z)


register_block(ToyBlock, state=["z"], returns=["z"])


def randomise(network: nn.Module, std: float = 0.1) -> nn.Module:
    """All parameters anew, normal with `std`, in evaluation mode; the gains of norms stay around 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            gain = parameter.ndim == 1 and name.endswith("weight")  # near 0, attention would not see its inputs
            parameter.normal_(mean=float(gain), std=std, generator=generator)
    return network.eval()


class SmallDenoiser:
    """What the small networks' adapters share; prompts are numbers, and each is a made-up text of its own."""

    convention = Flow()  # the evaluator never asks for it
    order: tuple[str, ...] = ("cond", "uncond")
    lists: tuple[str, ...] = ("transformer_blocks",)  # the network's lists of blocks, in execution order

    def __init__(self, network: nn.Module, latent_shape: tuple[int, ...], token_grid: tuple[int, ...], passes: str) -> None:
        self.network, self.latent_shape, self.token_grid, self.passes = network, latent_shape, token_grid, passes

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return [block for name in self.lists for block in getattr(self.network, name)]

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def encode(self, prompts: Sequence[int]) -> dict[str, Conditioning]:
        return {"cond": self._texts(prompts), "uncond": self._texts([999] * len(prompts))}

    def _texts(self, prompts: Sequence[int]) -> Conditioning:
        drawn = [torch.Generator().manual_seed(prompt) for prompt in prompts]
        text = torch.stack([torch.randn(TEXT, WIDTH, generator=g) for g in drawn]).to(self.dtype)
        pooled = torch.stack([torch.randn(POOLED, generator=g) for g in drawn]).to(self.dtype)
        return Conditioning({"text": text, "pooled": pooled})

    def time(self, x: Tensor, level: float, timestep: Tensor | None, most: float = 1000) -> Tensor:
        """The network's time [B]."""
        return torch.full((x.shape[0],), level * most) if timestep is None else timestep.expand(x.shape[0])

    def decode(self, latents: Tensor) -> Tensor:
        return (127.5 * latents.float() + 128).clamp(0, 255).to(torch.uint8)


class ToyDenoiser(SmallDenoiser):
    """The toy stack; its state is an argument by keyword, behind a positional one that is not."""

    lists = ("blocks",)

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        return Output(self.network(x.to(self.dtype), conditioning.tensors["text"] + level))


class SD3Denoiser(SmallDenoiser):
    """diffusers' SD3: two streams, called by keyword."""

    order = ("uncond", "cond")

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        return Output(self.network(**self.inputs(x, level, conditioning, timestep)).sample)

    def inputs(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> dict[str, Tensor]:
        """The arguments of the network's own forward."""
        texts = {"encoder_hidden_states": conditioning.tensors["text"], "pooled_projections": conditioning.tensors["pooled"]}
        return {"hidden_states": x.to(self.dtype), "timestep": self.time(x, level, timestep), **texts}


class FluxDenoiser(SmallDenoiser):
    """diffusers' Flux: two lists of blocks under one flat index; latents [B, N, C] are packed already."""

    lists = ("transformer_blocks", "single_transformer_blocks")

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        text = conditioning.tensors["text"]
        height, width = self.token_grid
        places = torch.cartesian_prod(torch.zeros(1), torch.arange(height).float(), torch.arange(width).float())
        return Output(
            self.network(
                hidden_states=x.to(self.dtype),
                encoder_hidden_states=text,
                pooled_projections=conditioning.tensors["pooled"],
                timestep=self.time(x, level, timestep, most=1),
                img_ids=places,
                txt_ids=torch.zeros(text.shape[1], 3),
            ).sample
        )


class WanDenoiser(SmallDenoiser):
    """diffusers' Wan: blocks called positionally; text is only looked at, so the state is one tensor."""

    lists = ("blocks",)

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        time = self.time(x, level, timestep)
        return Output(self.network(x.to(self.dtype), time, conditioning.tensors["text"]).sample)


class DiTDenoiser(SmallDenoiser):
    """diffusers' DiT: labels as prompts, half of the output is variance."""

    def encode(self, prompts: Sequence[int]) -> dict[str, Conditioning]:
        labels = torch.tensor(list(prompts))
        none = torch.full_like(labels, 10)
        return {"cond": Conditioning({"labels": labels}), "uncond": Conditioning({"labels": none})}

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        time = self.time(x, level, timestep).long()
        out = self.network(x.to(self.dtype), timestep=time, class_labels=conditioning.tensors["labels"]).sample
        return Output(*out.chunk(2, dim=1))


def toy(passes: str = "batched") -> ToyDenoiser:
    return ToyDenoiser(randomise(ToyNetwork(), 0.3), (6, 4), (1, 6), passes)


def sit(passes: str = "batched") -> SiTDenoiser:
    network = SiT(size=8, patch=2, channels=3, width=24, depth=12, heads=2, num_classes=10)
    return SiTDenoiser(randomise(network), size=8, channels=3, passes=passes)


def sd3(passes: str = "batched") -> SD3Denoiser:
    network = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=6, num_attention_heads=2, attention_head_dim=8,
        joint_attention_dim=WIDTH, caption_projection_dim=16, pooled_projection_dim=POOLED, pos_embed_max_size=4,
        dual_attention_layers=(0, 1, 2), qk_norm="rms_norm",
    )  # fmt: skip
    return SD3Denoiser(randomise(network), (4, 8, 8), (4, 4), passes)


def flux(passes: str = "batched") -> FluxDenoiser:
    network = FluxTransformer2DModel(
        in_channels=16, num_layers=3, num_single_layers=5, num_attention_heads=2, attention_head_dim=16,
        joint_attention_dim=WIDTH, pooled_projection_dim=POOLED, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    return FluxDenoiser(randomise(network), (12, 16), (3, 4), passes)


def wan(passes: str = "batched") -> WanDenoiser:
    network = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=WIDTH, freq_dim=16, ffn_dim=48,
        num_layers=6, rope_max_seq_len=8,
    )  # fmt: skip
    return WanDenoiser(randomise(network), (4, 3, 4, 4), (3, 2, 2), passes)


def dit(passes: str = "batched") -> DiTDenoiser:
    network = DiTTransformer2DModel(
        sample_size=8, num_layers=6, num_attention_heads=2, attention_head_dim=8, out_channels=8, num_embeds_ada_norm=10
    )
    return DiTDenoiser(randomise(network), (4, 8, 8), (4, 4), passes)


SMALL: dict[str, Callable[..., SmallDenoiser | SiTDenoiser]] = {
    "toy": toy, "sit": sit, "sd3": sd3, "flux": flux, "wan": wan, "dit": dit
}  # fmt: skip


def all_masks(num_blocks: int, most: int = 3, first: int = 0) -> list[tuple[int, ...]]:
    """Every mask of 1 to `most` blocks from `first` on."""
    eligible = range(first, num_blocks)
    return [mask for size in range(1, most + 1) for mask in itertools.combinations(eligible, size)]


def latents(network: SmallDenoiser | SiTDenoiser, seed: int = 0, batch: int = 2) -> Tensor:
    """Noise [batch, *latent_shape]."""
    return torch.randn(batch, *network.latent_shape, generator=torch.Generator().manual_seed(seed))

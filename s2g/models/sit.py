"""SiT, the scalable interpolant transformer (arXiv 2401.08740): the network, in the layout of the official checkpoints.

Module and parameter names are those of willisma/SiT, so that its files load with strict=True. The network speaks the
official language (time t from 0, noise, to 1, data; output data - noise); the adapter flips both.
Shapes: B batch, C channels, H W pixels or latents, N tokens, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from timm.layers.activations import GELUTanh
from timm.layers.attention import Attention
from timm.layers.mlp import Mlp
from timm.layers.patch_embed import PatchEmbed
from torch import Tensor, nn

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Convention, Flow
from s2g.models.shared.autoencoder import check_decoded
from s2g.models.shared.random_weights import random_state
from s2g.models.shared.vae import Decoder, load_decoder
from s2g.models.shared.weights import check_finite, check_state, read_weights


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Apply adaptive layer norm: x [B, N, D] shifted and scaled by vectors [B, D]."""
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class TimestepEmbedder(nn.Module):
    """Time [B] to a vector [B, D]; cosines first, and t stays in [0, 1], as in the official code."""

    def __init__(self, width: int, frequencies: int = 256) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.frequencies = frequencies

    def forward(self, t: Tensor) -> Tensor:
        half = self.frequencies // 2
        rates = torch.exp(-math.log(10000) / half * torch.arange(half, dtype=torch.float32, device=t.device))
        angles = t[:, None].float() * rates
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1).to(next(self.parameters()).dtype))


class LabelEmbedder(nn.Module):
    """Class labels [B] to vectors [B, D]; the last row of the table is "no class"."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(num_classes + 1, width)

    def forward(self, labels: Tensor) -> Tensor:
        return self.embedding_table(labels)


class SiTBlock(nn.Module):
    """Attention and MLP, each modulated and gated by the conditioning (adaLN-Zero); x [B, N, D], c [B, D]."""

    def __init__(self, width: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(width, num_heads=heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio), act_layer=GELUTanh)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate_a.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_a, scale_a))
        return x + gate_m.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift_m, scale_m))


class FinalLayer(nn.Module):
    """Modulated norm and the projection back to patches."""

    def __init__(self, width: int, patch: int, channels: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, patch * patch * channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


class SiT(nn.Module):
    """Velocity of noisy images: x [B, C, S, S], t [B] in [0, 1], labels [B] -> [B, C or 2C, S, S] (2C if learn_sigma)."""

    def __init__(
        self,
        size: int = 32,
        patch: int = 2,
        channels: int = 4,
        width: int = 1152,
        depth: int = 28,
        heads: int = 16,
        num_classes: int = 1000,
        learn_sigma: bool = True,
    ) -> None:
        super().__init__()
        self.patch, self.num_classes = patch, num_classes
        self.out_channels = channels * (2 if learn_sigma else 1)
        self.x_embedder = PatchEmbed(size, patch, channels, width, bias=True)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(num_classes, width)
        self.pos_embed = nn.Parameter(position_table(width, size // patch)[None], requires_grad=False)
        self.blocks = nn.ModuleList([SiTBlock(width, heads) for _ in range(depth)])
        self.final_layer = FinalLayer(width, patch, self.out_channels)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        x = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(labels)
        for block in self.blocks:
            x = block(x, c)
        return self.unpatchify(self.final_layer(x, c))

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """Reorder tokens [B, N, patch * patch * C] to images [B, C, S, S]."""
        side, p = math.isqrt(tokens.shape[1]), self.patch
        grid = tokens.reshape(tokens.shape[0], side, side, p, p, self.out_channels)
        return torch.einsum("bhwpqc->bchpwq", grid).reshape(tokens.shape[0], self.out_channels, side * p, side * p)


def position_table(width: int, side: int) -> Tensor:
    """Return fixed sine-cosine positions [side * side, width]: first half of the channels for columns, second for rows."""
    rates = 10000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * rates
    line = torch.cat([angles.sin(), angles.cos()], dim=1)  # [side, width / 2]
    rows, columns = line.repeat_interleave(side, dim=0), line.repeat(side, 1)
    return torch.cat([columns, rows], dim=1).float()


def initialise(model: SiT) -> None:
    """Initialise as the official code: Xavier for matrices, zero for every gate and the head."""
    for name, parameter in model.named_parameters():
        if name == "pos_embed":
            continue
        if name.endswith("bias") or "adaLN_modulation" in name or name.startswith("final_layer"):
            nn.init.zeros_(parameter)
        elif name.startswith(("t_embedder", "y_embedder")):
            nn.init.normal_(parameter, std=0.02)
        else:
            nn.init.xavier_uniform_(parameter.data.view(parameter.shape[0], -1))


def made(network: Mapping[str, Any]) -> SiT:
    """Build the network without numbers, on the meta device; UserError for sizes that make none."""
    try:
        with torch.device("meta"):
            return SiT(**network)
    except (TypeError, AssertionError, ZeroDivisionError, RuntimeError) as error:
        raise UserError(f"model.network = {dict(network)}: no such SiT ({error})") from error


def fitting(network: Mapping[str, Any], state: Mapping[str, Tensor]) -> SiT:
    """Build the network with sigma channels if the head in `state` has rows for them, whatever `network` says.

    Published SiT weights have them, although SiT does not use them, and its training script can be told to leave them out.
    """
    stated = made(network)
    head, plain = state.get("final_layer.linear.weight"), stated.patch**2 * network["channels"]
    if head is None or len(head) not in (plain, 2 * plain):
        return stated  # check_state says what is wrong with it
    return made({**network, "learn_sigma": len(head) == 2 * plain})


class SiTDenoiser:
    """A SiT behind its adapter; class labels as prompts, pixels as they are and latents through a decoder."""

    order = ("cond", "uncond")  # the official forward_with_cfg
    convention: Convention = Flow()

    def __init__(self, network: SiT, size: int, channels: int, passes: str, decoder: Decoder | None = None) -> None:
        self.network = network
        self.latent_shape = (channels, size, size)
        self.token_grid = (size // network.patch, size // network.patch)
        self.passes = passes
        self.decoder = decoder

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """Load the network of `config` with its weights on `device`; UserError for a file that does not fit."""
        if config.weights_seed is not None:
            network = made(config.network)
            positions = position_table(network.pos_embed.shape[2], config.network["size"] // network.patch)[None]
            state = random_state(network, config.weights_seed, fixed={"pos_embed": positions})
        else:
            state = read_weights(config.weights_file(), config.key, made(config.network).state_dict().keys())
            network = fitting(config.network, state)
            check_state(network, state, config)
            check_finite(state, f"{config.key} = {config.weights}")
        network.load_state_dict({k: v.to(dtype) for k, v in state.items()}, strict=True, assign=True)
        decoder = load_decoder(config, config.network["channels"], device)
        return cls(network.to(device).eval(), config.network["size"], config.network["channels"], config.passes, decoder)

    @classmethod
    def meta_model(cls, config: ModelConfig) -> Self:
        """Build the same network without numbers, on the meta device: for counting FLOPs."""
        return cls(made(config.network).eval(), config.network["size"], config.network["channels"], config.passes)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.network.blocks)

    def encode(self, prompts: Sequence[int]) -> dict[str, Conditioning]:
        device = self.network.pos_embed.device
        labels = torch.tensor(list(prompts), dtype=torch.int64, device=device)
        none = torch.full_like(labels, self.network.num_classes)
        return {"cond": Conditioning({"labels": labels}), "uncond": Conditioning({"labels": none})}

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        t = torch.full((x.shape[0],), 1 - level, dtype=torch.float32, device=x.device)
        out = self.network(x.to(self.network.pos_embed.dtype), t, conditioning.tensors["labels"])
        # Published weights carry sigma channels that SiT throws away; the sign is flipped to noise - data.
        return Output(-out[:, : self.latent_shape[0]])

    def decode(self, latents: Tensor) -> Tensor:
        if self.decoder is not None:
            return torch.cat([pixels_of(check_decoded(images, self.decoder.vae)) for images in self.decoder(latents)])
        pixels = pixels_of(latents)
        return pixels.repeat(1, 3, 1, 1) if self.latent_shape[0] == 1 else pixels  # grey: an image of equal channels


def pixels_of(images: Tensor) -> Tensor:
    """Return uint8 from values in [-1, 1]: truncated, as the official sample_ddp.py and ADM's evaluation do."""
    return (127.5 * images.float() + 128).clamp(0, 255).to(torch.uint8)

"""DINOv2's vision transformer (arXiv 2304.07193; facebookresearch/dinov2, Apache-2.0), from its file of weights alone.

Sizes follow from the tensors' shapes: S, B and L (a plain MLP) and g (SwiGLU), patches of 14, heads of 64, without registers.
Written here since torch-fidelity takes it from torch.hub, which fetches code and weights anew and reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD = 64  # numbers of an attention head, in all four sizes
EPS = 1e-6
OFFSET = 0.1  # added to the grid's size where position embeddings are interpolated, since facebookresearch/dino issue 8


class Block(nn.Module):
    """A transformer block with pre-norms and layer scale."""

    def __init__(self, width: int, hidden: int, gated: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.ls1 = nn.ParameterDict({"gamma": torch.ones(width)})
        self.ls2 = nn.ParameterDict({"gamma": torch.ones(width)})
        first, second = ("w12", "w3") if gated else ("fc1", "fc2")
        self.mlp = nn.ModuleDict({first: nn.Linear(width, hidden), second: nn.Linear(hidden // (1 + gated), width)})
        self.gated = gated

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens [B, N, D] after attention and MLP, each scaled and added."""
        batch, tokens, width = x.shape
        split = self.attn["qkv"](self.norm1(x)).view(batch, tokens, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*split.unbind(0)).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.ls1["gamma"] * self.attn["proj"](seen)
        return x + self.ls2["gamma"] * self._mlp(self.norm2(x))

    def _mlp(self, x: Tensor) -> Tensor:
        if not self.gated:
            return self.mlp["fc2"](F.gelu(self.mlp["fc1"](x)))
        gate, value = self.mlp["w12"](x).chunk(2, dim=-1)
        return self.mlp["w3"](F.silu(gate) * value)


class VisionTransformer(nn.Module):
    """The network as its weights have it; `forward` returns the normed class token."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Build and load; KeyError or RuntimeError for weights that are not those of DINOv2, ValueError for registers."""
        super().__init__()
        if "register_tokens" in weights:
            raise ValueError("weights with register tokens, which no published distance uses")
        width, _, patch, _ = weights["patch_embed.proj.weight"].shape
        if width % HEAD:
            raise ValueError(f"{width} numbers a token: heads are of {HEAD}")
        depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
        gated = "blocks.0.mlp.w12.weight" in weights
        hidden = len(weights["blocks.0.mlp.w12.weight" if gated else "blocks.0.mlp.fc1.weight"])
        self.patch = patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # of training; in the file
        self.pos_embed = nn.Parameter(torch.zeros_like(weights["pos_embed"]))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.blocks = nn.ModuleList([Block(width, hidden, gated) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, EPS)
        self.load_state_dict(dict(weights))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return [B, D] of normalized images [B, 3, H, W]; sides are multiples of the patch."""
        x = self.patch_embed["proj"](images)
        position = self._position(x.shape[2], x.shape[3])
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1) + position
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]

    def _position(self, rows: int, columns: int) -> Tensor:
        """Return position embeddings [1, 1 + rows * columns, D], interpolated as the official code does."""
        of_patches = self.pos_embed[:, 1:]
        side = round(of_patches.shape[1] ** 0.5)
        if rows == columns == side:
            return self.pos_embed
        grid = of_patches.view(1, side, side, -1).permute(0, 3, 1, 2)
        scale = ((rows + OFFSET) / side, (columns + OFFSET) / side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

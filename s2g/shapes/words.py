"""The built-in text encoder: captions of the shapes world, word by word, to what an SD3 transformer is given of a text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.layers.attention import Attention
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.shapes.captioned import RELATIONS
from s2g.shapes.world import COLORS, SHAPES, TEXTURES

WORDS = ("a", *COLORS, *TEXTURES, *SHAPES, *dict.fromkeys(" ".join(RELATIONS).split()))
START, PAD, FIRST = 0, 1, 2  # numbers of tokens; words from FIRST on, in the order of WORDS
LENGTH = 12  # tokens of a caption: a start and eleven words, one more than the longest caption of the world


def tokens(caption: str) -> list[int]:
    """Numbers of a caption's words, [LENGTH]; words beyond are cut off. UserError names a word that is none of WORDS."""
    words = caption.lower().replace(",", " ").replace(".", " ").split()
    for word in words:
        if word not in WORDS:
            raise UserError(f"prompt {caption!r}: the built-in model does not know {word!r}", allowed=", ".join(WORDS))
    found = [START, *(FIRST + WORDS.index(word) for word in words)][:LENGTH]
    return found + [PAD] * (LENGTH - len(found))


def cut_off(caption: str) -> str:
    """The words of a caption that its tokens leave out; empty where it is short enough."""
    return " ".join(caption.split()[LENGTH - 1 :])


class WordBlock(nn.Module):
    """Attention over the words and an MLP, each on normed input; x [B, LENGTH, D]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, num_heads=heads, qkv_bias=True)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class WordEncoder(nn.Module):
    """Tokens [B, LENGTH] to embeddings [B, LENGTH, D] and, off the start token, the pooled vector [B, D]."""

    def __init__(self, width: int = 96, depth: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(FIRST + len(WORDS), width)
        self.places = nn.Parameter(torch.empty(LENGTH, width))
        self.blocks = nn.ModuleList([WordBlock(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.words.weight, std=0.5)
        nn.init.normal_(self.places, std=0.5)

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        x = self.words(numbers) + self.places
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x, x[:, 0]

    @staticmethod
    def check(captions: Sequence[str]) -> None:
        """UserError for a word it does not know."""
        for caption in captions:
            tokens(caption)

    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """As `forward`, of captions; UserError for a word it does not know."""
        numbers = torch.tensor([tokens(caption) for caption in captions], device=self.places.device)
        return self(numbers)

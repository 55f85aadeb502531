"""The built-in text encoder: captions of the shapes world, word by word, to what a transformer is given of a text."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from timm.layers.attention import Attention
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from s2g.worlds.shapes.vocabulary import FIRST, STILLS, Vocabulary, shown


class WordBlock(nn.Module):
    """Attention over the words and an MLP, each on normed input; x [B, length, D]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, num_heads=heads, qkv_bias=True)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class WordEncoder(nn.Module):
    """Tokens [B, length] to embeddings [B, length, D] and, off the start token, the pooled vector [B, D]."""

    def __init__(self, width: int = 96, depth: int = 2, heads: int = 4, vocabulary: Vocabulary = STILLS) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.words = nn.Embedding(FIRST + len(vocabulary.words), width)
        self.places = nn.Parameter(torch.empty(vocabulary.length, width))
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


class WordText:
    """Captions to embeddings, as adapters ask for them; a truncated caption is reported once, on stderr."""

    def __init__(self, encoder: WordEncoder) -> None:
        self.encoder = encoder
        self.reported: set[str] = set()

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode to embeddings [B, length, D] and pooled vectors [B, D]; UserError for an unknown word."""
        vocabulary = self.encoder.vocabulary
        numbers = torch.tensor([vocabulary.tokens(prompt) for prompt in prompts], device=self.encoder.places.device)
        for prompt in dict.fromkeys(prompts):
            if (rest := vocabulary.cut_off(prompt)) and prompt not in self.reported:
                print(f"prompt {shown(prompt)} truncated: {shown(rest)} is left out", file=sys.stderr)
                self.reported.add(prompt)
        return self.encoder(numbers)

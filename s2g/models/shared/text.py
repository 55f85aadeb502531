"""Prompts to embeddings: what adapters of text models ask of a text front-end, and those that need no pipeline.

B prompts give tokens [B, T, D] and, where the network reads one, a pooled vector [B, P]. A custom front-end needs only
`encode`.
"""

from __future__ import annotations

import gc
import hashlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from s2g.models.base import Conditioning
from s2g.models.shared.prompt_cache import Embedded, PromptCache

TOKENS = ("tokens",)
BOTH = ("tokens", "pooled")  # what SD3 and Flux read


class TextFrontEnd(Protocol):
    """What makes embeddings of prompts; the empty prompt is "no condition"."""

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        """Return tokens [B, T, D] and, if there are any, pooled vectors [B, P], on the network's device and in its dtype."""
        ...


def conditions(
    text: TextFrontEnd, prompts: Sequence[str], names: Sequence[str] = BOTH, negative: str = ""
) -> dict[str, Conditioning]:
    """Return "cond" of B prompts and "uncond", the negative prompt B times: "tokens" [B, T, D] and "pooled" [B, P].

    names: what the network reads; a front-end may give more.
    """
    cond = dict(zip(names, text.encode(prompts), strict=False))
    none = dict(zip(names, text.encode([negative]), strict=False))
    uncond = {name: tensor.expand(len(prompts), *tensor.shape[1:]) for name, tensor in none.items()}
    return {"cond": Conditioning(cond), "uncond": Conditioning(uncond)}


MAX_REPORTED = 3  # truncated prompts that are named: a list of 3,200 would bury everything else
MAX_SHOWN = 60  # characters of a prompt in a message
Encode = Callable[[str], Embedded]  # one prompt: "tokens" [T, D] and, if there is one, "pooled" [P]


class CachedText:
    """Embeddings from the cache; encoders are opened only for prompts that it lacks, once for all of them, and freed.

    A prompt is encoded by itself, so that its embedding does not depend on which others it is asked for with.
    names: what is kept of each; length: tokens of fewer are followed by zeros up to so many (None: all have as many).
    """

    def __init__(
        self,
        cache: PromptCache,
        encoders: Callable[[], AbstractContextManager[Encode]],
        device: torch.device,
        names: Sequence[str] = BOTH,
        length: int | None = None,
    ) -> None:
        self.cache, self.encoders, self.device, self.names, self.length = cache, encoders, device, names, length
        self.reported: set[str] = set()

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        self.precompute(prompts)
        embedded = {prompt: self.cache.get(prompt) for prompt in dict.fromkeys(prompts)}
        self._report({prompt: row.remark for prompt, row in embedded.items() if row is not None and row.remark})
        rows = [row for prompt in prompts if (row := embedded[prompt]) is not None]
        parts = (torch.stack([self._padded(name, row.tensors[name]) for row in rows]) for name in self.names)
        return tuple(part.to(self.device) for part in parts)

    def _padded(self, name: str, tensor: Tensor) -> Tensor:
        """Return a prompt's tensor, padded with zeros to the full length."""
        padding = self.length - len(tensor) if name == "tokens" and self.length is not None else 0
        return pad(tensor, (0, 0, 0, padding)) if padding else tensor

    def precompute(self, prompts: Sequence[str]) -> None:
        """Encode the prompts that the cache lacks."""
        wanted = dict.fromkeys(prompts)
        cached = {prompt: self.cache.get(prompt) for prompt in wanted}
        if any(entry is None for entry in cached.values()):
            with self.cache.locked():  # another process may have encoded them while this one waited
                missing = [prompt for prompt, entry in cached.items() if entry is None and self.cache.get(prompt) is None]
                if missing:
                    self._encode(missing)

    def _report(self, remarks: dict[str, str]) -> None:
        """Print the first few truncated prompts on stderr, then one line that there are more."""
        for prompt, remark in remarks.items():
            if prompt in self.reported:
                continue
            self.reported.add(prompt)
            if len(self.reported) <= MAX_REPORTED:
                shown = prompt if len(prompt) <= MAX_SHOWN else f"{prompt[: MAX_SHOWN - 3]}..."
                print(f"prompt '{shown}' truncated: {remark}", file=sys.stderr)
            elif len(self.reported) == MAX_REPORTED + 1:
                print("more prompts truncated; they are not listed", file=sys.stderr)

    def _encode(self, prompts: Sequence[str]) -> None:
        with self.encoders() as encode:
            for prompt in prompts:
                self.cache.put(prompt, encode(prompt))
        del encode  # the last reference to the encoders
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class RandomText:
    """Random embeddings of the right shape, the same for the same prompt and seed; without values on the meta device."""

    def __init__(
        self, tokens: tuple[int, int], pooled: int | None, dtype: torch.dtype, device: torch.device | str, seed: int = 0
    ) -> None:
        """pooled: the vector's width, or None."""
        self.shapes = (tokens,) if pooled is None else (tokens, (pooled,))
        self.dtype, self.device, self.seed = dtype, torch.device(device), seed

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        if self.device.type == "meta":
            return tuple(torch.empty((len(prompts), *shape), dtype=self.dtype, device=self.device) for shape in self.shapes)
        drawn = [torch.Generator().manual_seed(self._seed(prompt)) for prompt in prompts]
        parts = [torch.stack([torch.randn(shape, generator=generator) for generator in drawn]) for shape in self.shapes]
        return tuple(part.to(self.device, self.dtype) for part in parts)

    def _seed(self, prompt: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed}:{prompt}".encode()).digest()[:6])

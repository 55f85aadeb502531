"""Prompts to embeddings: what adapters of text models ask of a text front-end, and those that need no pipeline.

B prompts give tokens [B, T, D] and a pooled vector [B, P]. A front-end of one's own needs `encode` alone.
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

from s2g.models.base import Conditioning
from s2g.models.prompt_cache import Embedded, PromptCache


class TextFrontEnd(Protocol):
    """What makes embeddings of prompts; the empty prompt is "no condition"."""

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens [B, T, D] and pooled vectors [B, P], on the network's device and in its dtype."""
        ...


def conditions(text: TextFrontEnd, prompts: Sequence[str]) -> dict[str, Conditioning]:
    """ "cond" of B prompts and "uncond", the empty prompt B times: "tokens" [B, T, D] and "pooled" [B, P]."""
    tokens, pooled = text.encode(prompts)
    no_tokens, no_pooled = (tensor.expand(len(prompts), *tensor.shape[1:]) for tensor in text.encode([""]))
    uncond = Conditioning({"tokens": no_tokens, "pooled": no_pooled})
    return {"cond": Conditioning({"tokens": tokens, "pooled": pooled}), "uncond": uncond}


SHOWN = 60  # characters of a prompt in a message
Encode = Callable[[str], Embedded]  # one prompt: "tokens" [T, D] and "pooled" [P]


class CachedText:
    """Embeddings from the cache; encoders are opened only for prompts that it lacks, once for all of them, and freed.

    A prompt is encoded by itself, so that its embedding does not depend on which others it is asked for with.
    """

    def __init__(
        self, cache: PromptCache, encoders: Callable[[], AbstractContextManager[Encode]], device: torch.device
    ) -> None:
        self.cache, self.encoders, self.device = cache, encoders, device
        self.said: set[str] = set()

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.remember(prompts)
        found = {prompt: self.cache.get(prompt) for prompt in dict.fromkeys(prompts)}
        self._say({prompt: row.remark for prompt, row in found.items() if row is not None and row.remark})
        rows = [row for prompt in prompts if (row := found[prompt]) is not None]
        tokens, pooled = (torch.stack([row.tensors[name] for row in rows]) for name in ("tokens", "pooled"))
        return tokens.to(self.device), pooled.to(self.device)

    def remember(self, prompts: Sequence[str]) -> None:
        """See to it that the cache holds every prompt."""
        wanted = dict.fromkeys(prompts)
        held = {prompt: self.cache.get(prompt) for prompt in wanted}
        if any(one is None for one in held.values()):
            with self.cache.alone():  # another process may have encoded them while this one waited
                missing = [prompt for prompt, one in held.items() if one is None and self.cache.get(prompt) is None]
                if missing:
                    self._encode(missing)

    def _say(self, remarks: dict[str, str]) -> None:
        """Tell, once and on stderr, of which prompts the encoders read a part alone."""
        for prompt, remark in remarks.items():
            if prompt not in self.said:
                shown = prompt if len(prompt) <= SHOWN else f"{prompt[: SHOWN - 3]}..."
                print(f"prompt '{shown}' is not read whole: {remark}", file=sys.stderr)
            self.said.add(prompt)

    def _encode(self, prompts: Sequence[str]) -> None:
        with self.encoders() as encode:
            for prompt in prompts:
                self.cache.put(prompt, encode(prompt))
        del encode  # the last reference to the encoders
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class RandomText:
    """Embeddings of no meaning in the right shape, the same for the same prompt and seed; on the meta device none at all."""

    def __init__(
        self, tokens: tuple[int, int], pooled: int, dtype: torch.dtype, device: torch.device | str, seed: int = 0
    ) -> None:
        self.tokens, self.pooled, self.dtype, self.device, self.seed = tokens, pooled, dtype, torch.device(device), seed

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        if self.device.type == "meta":
            shapes = (len(prompts), *self.tokens), (len(prompts), self.pooled)
            tokens, pooled = (torch.empty(shape, dtype=self.dtype, device=self.device) for shape in shapes)
            return tokens, pooled
        drawn = [torch.Generator().manual_seed(self._seed(prompt)) for prompt in prompts]
        tokens = torch.stack([torch.randn(self.tokens, generator=generator) for generator in drawn])
        pooled = torch.stack([torch.randn(self.pooled, generator=generator) for generator in drawn])
        return tokens.to(self.device, self.dtype), pooled.to(self.device, self.dtype)

    def _seed(self, prompt: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed}:{prompt}".encode()).digest()[:6])

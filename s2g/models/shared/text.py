"""Prompts to embeddings: what adapters of text models ask of a text front-end, and those that need no pipeline.

B prompts give tokens [B, T, D] and, where the network reads one, a pooled vector [B, P]. A front-end of one's own needs
`encode` alone.
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
        """Tokens [B, T, D] and, if there are any, pooled vectors [B, P], on the network's device and in its dtype."""
        ...


def conditions(
    text: TextFrontEnd, prompts: Sequence[str], names: Sequence[str] = BOTH, negative: str = ""
) -> dict[str, Conditioning]:
    """ "cond" of B prompts and "uncond", the negative prompt B times: "tokens" [B, T, D] and "pooled" [B, P].

    names: what the network reads; a front-end may give more.
    """
    cond = dict(zip(names, text.encode(prompts), strict=False))
    none = dict(zip(names, text.encode([negative]), strict=False))
    uncond = {name: tensor.expand(len(prompts), *tensor.shape[1:]) for name, tensor in none.items()}
    return {"cond": Conditioning(cond), "uncond": Conditioning(uncond)}


TOLD = 3  # prompts that are not read whole: a list of 3,200 would bury everything else
SHOWN = 60  # characters of a prompt in a message
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
        self.said: set[str] = set()

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        self.precompute(prompts)
        found = {prompt: self.cache.get(prompt) for prompt in dict.fromkeys(prompts)}
        self._say({prompt: row.remark for prompt, row in found.items() if row is not None and row.remark})
        rows = [row for prompt in prompts if (row := found[prompt]) is not None]
        parts = (torch.stack([self._whole(name, row.tensors[name]) for row in rows]) for name in self.names)
        return tuple(part.to(self.device) for part in parts)

    def _whole(self, name: str, tensor: Tensor) -> Tensor:
        """A prompt's tensor, with the zeros behind its tokens."""
        lacking = self.length - len(tensor) if name == "tokens" and self.length is not None else 0
        return pad(tensor, (0, 0, 0, lacking)) if lacking else tensor

    def precompute(self, prompts: Sequence[str]) -> None:
        """See to it that the cache holds every prompt."""
        wanted = dict.fromkeys(prompts)
        held = {prompt: self.cache.get(prompt) for prompt in wanted}
        if any(one is None for one in held.values()):
            with self.cache.alone():  # another process may have encoded them while this one waited
                missing = [prompt for prompt, one in held.items() if one is None and self.cache.get(prompt) is None]
                if missing:
                    self._encode(missing)

    def _say(self, remarks: dict[str, str]) -> None:
        """Tell on stderr of which prompts the encoders read a part alone: of the first few, and then that there are more."""
        for prompt, remark in remarks.items():
            if prompt in self.said:
                continue
            self.said.add(prompt)
            if len(self.said) <= TOLD:
                shown = prompt if len(prompt) <= SHOWN else f"{prompt[: SHOWN - 3]}..."
                print(f"prompt '{shown}' is not read whole: {remark}", file=sys.stderr)
            elif len(self.said) == TOLD + 1:
                print("more prompts are not read whole; they are not listed", file=sys.stderr)

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
        self, tokens: tuple[int, int], pooled: int | None, dtype: torch.dtype, device: torch.device | str, seed: int = 0
    ) -> None:
        """pooled: the vector's width; None: there is none."""
        self.shapes = (tokens,) if pooled is None else (tokens, (pooled,))
        self.dtype, self.device, self.seed = dtype, torch.device(device), seed

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        if self.device.type == "meta":
            return tuple(torch.empty((len(prompts), *of), dtype=self.dtype, device=self.device) for of in self.shapes)
        drawn = [torch.Generator().manual_seed(self._seed(prompt)) for prompt in prompts]
        parts = [torch.stack([torch.randn(of, generator=generator) for generator in drawn]) for of in self.shapes]
        return tuple(part.to(self.device, self.dtype) for part in parts)

    def _seed(self, prompt: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed}:{prompt}".encode()).digest()[:6])

"""The scorer: 100 times the cosine of CLIP's image and text embeddings, with every choice of the preprocessing stated.

tgxs002/HPSv2 (Apache-2.0) states none: its resize acts on tensors, and whether that smooths first ("antialias") changed
with torchvision 0.17; its precision is CUDA's autocast, which does nothing on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from s2g.benchmarks.hps import checkpoint
from s2g.errors import UserError
from s2g.io.hashing import content_hash
from s2g.io.images import read_image
from s2g.io.interrupt import uninterrupted
from s2g.io.library_versions import versions
from s2g.io.one_thread import one_thread
from s2g.scoring.scorer import InProcessScorer, Question, scorer_device

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's (arXiv 2103.00020)
DTYPES = ("fp32", "fp16")


@dataclass(frozen=True)
class Clip:
    """A CLIP with its weights, and how images are brought to its size."""

    weights: str
    architecture: str = checkpoint.ARCHITECTURE
    antialias: bool = True
    dtype: str = "fp32"

    @property
    def knobs(self) -> str:
        """Return the settings under which scores compare, as text."""
        return f"antialias={str(self.antialias).lower()}, {self.dtype}"

    def identity(self) -> dict[str, Any]:
        """Return everything that a score depends on."""
        return {
            "network": dict(checkpoint.sizes(self.architecture)),
            "weights_sha256": content_hash(checkpoint.file_of(self.weights)),
            "resize": "bicubic on tensors, long side, black beside",
            "antialias": self.antialias,
            "dtype": self.dtype,
            "libraries": versions("torch", "torchvision", "open_clip_torch"),  # resizing and the network are theirs
        }

    def scores(self, pairs: Sequence[tuple[np.ndarray, str]], device: str) -> list[float]:
        """Return 100 cos of each uint8 image [H, W, 3] with its prompt, one at a time, so no neighbor changes its bits.

        One thread on a CPU. ValueError for values that no cosine has. Half precision is autocast's, as the official package
        on a GPU, but for the cosine itself, which is taken in float32: in half precision a score near 30 moves in steps of
        1/64.
        """
        import torch

        network, tokens, side = _loaded(self, _device(device))
        found: list[float] = []
        with one_thread(), torch.inference_mode():
            for image, prompt in pairs:
                images = self.prepared(image, side)[None].to(_device(device))
                words = tokens([prompt]).to(_device(device))
                half = self.dtype == "fp16"
                with torch.autocast(_device(device).partition(":")[0], dtype=torch.float16, enabled=half):
                    seen, read = network.encode_image(images), network.encode_text(words)
                seen, read = (torch.nn.functional.normalize(values.float(), dim=-1) for values in (seen, read))
                found += (100.0 * (seen * read).sum(-1)).tolist()
        if not all(abs(value) <= 100.001 for value in found):
            raise ValueError(f"{checkpoint.KEY} = {self.weights}: a score is {found}")
        return found

    def prepared(self, image: np.ndarray, side: int) -> Any:
        """Resize a uint8 image [H, W, 3] by its long side, pad with black, normalize as CLIP does; float32 [3, side, side].

        Not the centre crop that CLIP is usually given: hpsv2 asks for "light augmentation", and that is ResizeMaxSize.
        """
        import torch
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional as v2

        pixels = torch.from_numpy(np.array(image)).movedim(-1, 0).float() / 255
        scale = side / max(pixels.shape[1:])
        if scale != 1:
            height, width = (max(1, round(length * scale)) for length in pixels.shape[1:])  # 3000 x 2 keeps a row
            pixels = v2.resize(pixels, [height, width], interpolation=InterpolationMode.BICUBIC, antialias=self.antialias)
            beside, above = side - width, side - height
            pixels = v2.pad(pixels, [beside // 2, above // 2, beside - beside // 2, above - above // 2])
        return v2.normalize(pixels, list(MEAN), list(STD))


@dataclass(frozen=True)
class ClipScorer(InProcessScorer):
    """The scorer as workers ask it."""

    clip: Clip
    device: str

    def value(self, question: Question, device: str) -> float:
        """Return 100 cos of an image with its prompt."""
        return self.clip.scores([(read_image(question.path), question.words)], scorer_device(self.device, device))[0]


def _device(typed: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if typed == "auto" else typed


@cache
def _loaded(clip: Clip, device: str) -> tuple[Any, Any, int]:
    """Load the network in evaluation mode, its tokenizer and its image size."""
    with uninterrupted():
        import torch
        from open_clip.tokenizer import SimpleTokenizer
    network = checkpoint.empty(clip.architecture)
    state = checkpoint.read(clip.weights, clip.architecture)
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    length, side = network.context_length, network.visual.image_size[0]  # sizes that are not written have open_clip's defaults
    # The one buffer that checkpoints do not hold: a word sees itself and what stands before it.
    network.attn_mask = torch.full((length, length), float("-inf")).triu(1)
    return network.to(device), SimpleTokenizer(context_length=length), int(side)


def check(clip: Clip) -> None:
    """Raise UserError if weights are missing, are version 2.0 or do not fit; gigabytes are mapped, not read."""
    if clip.dtype not in DTYPES:
        raise UserError(f"bench.dtype = {clip.dtype}", allowed=", ".join(DTYPES))
    checkpoint.file_of(clip.weights)
    checkpoint.check_version(clip.weights)
    checkpoint.read(clip.weights, clip.architecture, mapped=True)

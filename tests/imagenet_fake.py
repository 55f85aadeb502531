"""A model of 1000 classes at 256 pixels that costs nothing, and a bench that reads its images without Inception.

Importable by worker processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from s2g.benchmarks.distances.extractor import Extractor
from s2g.benchmarks.imagenet.bench import ImageNet
from s2g.config.registry import BENCHES, MODELS
from s2g.config.schema import ModelConfig
from s2g.engine.bench import Arrays
from s2g.metrics.frechet import Moments
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Flow
from s2g.network.blocks import register_block
from s2g.store.retention import Features

MODEL = (
    "model=tiny_sit",
    "model.family=fake256",
    "model.name=fake256",
    "model.weights=none",
    "model.blocks=1",
    "model.resolution=256",
    "model.network={num_classes: 1000, channels: 3}",
    "guidance=none",
    "sampler.steps=1",
    "bench=imagenet",
)


class FakeBlock(nn.Module):
    """A residual block that adds nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return x


register_block(FakeBlock, state=["x"], returns=["x"])


class FakeDenoiser:
    """Latents of 16 x 16, moved by the class, shown 16 times as large."""

    order = ("cond", "uncond")
    convention = Flow()
    latent_shape, token_grid, passes = (3, 16, 16), (16, 16), "batched"

    def __init__(self) -> None:
        self.network = nn.Sequential(FakeBlock())

    @staticmethod
    def load(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> FakeDenoiser:
        return FakeDenoiser()

    @staticmethod
    def meta_model(config: ModelConfig) -> FakeDenoiser:
        return FakeDenoiser()

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.network)

    def encode(self, prompts: Sequence[int]) -> dict[str, Conditioning]:
        labels = torch.tensor(list(prompts))
        return {"cond": Conditioning({"labels": labels}), "uncond": Conditioning({"labels": labels})}

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        shift = (conditioning.tensors["labels"].to(x) / 1000 - 0.5)[:, None, None, None]
        return Output(self.network(0.7 * x - shift if not x.is_meta else x))

    def decode(self, latents: Tensor) -> Tensor:
        small = (127.5 * latents + 128).clamp(0, 255).to(torch.uint8)
        return small.repeat_interleave(16, 2).repeat_interleave(16, 3)


@cache
def mixing() -> np.ndarray:
    """[768, 5079]: from pixels to as many numbers as Inception gives."""
    return np.random.default_rng(0).normal(size=(768, 5079)).astype(np.float32) / 28


@dataclass(frozen=True)
class FakeExtractor(Extractor):
    """A fixed mixture of an image's 768 pixels, and a little noise by its bytes, so that no covariance is singular."""

    weights: str = ""

    def identity(self) -> str:
        return f"fake {self.weights}"

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        small = images[:, ::16, ::16].reshape(len(images), -1).astype(np.float32) / 64 - 2
        rows = small @ mixing()
        for row, image in zip(rows, small, strict=True):
            row += np.random.default_rng(int(abs(image.sum()) * 1e6)).random(len(row), dtype=np.float32)
        return rows


@dataclass(frozen=True)
class FakeImageNet(ImageNet):
    """bench=imagenet without its files: another network, and a reference that is a Gaussian."""

    @property
    def extractor(self) -> FakeExtractor:
        return FakeExtractor(self.keep or "png", tuple(self.networks.values()), self.image_side, weights=self.inception)

    def check(self, model: ModelConfig) -> None:
        pass

    def version(self) -> dict[str, object]:
        return {"bench": "fake", "sink": self.extractor.identity(), "score": [metric.name for metric in self.metrics]}

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        return []

    def moments(self, part: str) -> Moments:
        size = {"pool": 2048, "spatial": 2023}[part]
        return Moments.stored(np.full(size, 0.4), np.eye(size), 2)

    def reference_features(self, part: str = "pool") -> np.ndarray:
        return np.random.default_rng(1).normal(0.4, 1, (1000, 2048)).astype(np.float32)

    def gather(self, features: Features, num: int) -> dict[str, np.ndarray]:
        return super().gather(features, num)


def register() -> None:
    """Known to this process; runs are made with executor.workers=1."""
    MODELS.add("fake256", "imagenet_fake:FakeDenoiser", "nothing but images", trained=False)
    BENCHES.add("imagenet", "imagenet_fake:FakeImageNet", "without its files")

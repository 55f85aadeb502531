"""The probe: a small CNN that reads shape, color and texture off a 32x32 image, and gives features for Fréchet distance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s2g.config.schema import BUILTIN
from s2g.io.one_thread import one_thread
from s2g.worlds.shapes.world import ATTRIBUTES

FEATURES = 64


@dataclass(frozen=True)
class Reading:
    """What the probe says of B images: log probabilities per attribute [B, values] and features [B, 64]."""

    logp: dict[str, Tensor]
    features: Tensor

    def joint(self) -> Tensor:
        """Return the class probabilities [B, 108], the three heads taken as independent; class order as in the world."""
        shape, color, texture = (self.logp[name].exp() for name in ATTRIBUTES)
        return torch.einsum("bs,bc,bt->bsct", shape, color, texture).flatten(1)


def convolutions(width: int) -> list[nn.Module]:
    """Build layers from [B, 3, 32, 32] to [B, 4 width, 4, 4]: three times half the side and twice the width."""
    layers: list[nn.Module] = []
    before = 3
    for after in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.Conv2d(after, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        before = after
    return layers


class Probe(nn.Module):
    """Images [B, 3, 32, 32] in [-1, 1] to a Reading; batch statistics are frozen in eval mode."""

    def __init__(self, width: int = 32, features: int = FEATURES) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*convolutions(width), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.features = nn.Sequential(nn.Linear(16 * width, features), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(features, count) for name, count in ATTRIBUTES.items()})

    def forward(self, images: Tensor) -> Reading:
        features = self.features(self.trunk(images))
        return Reading({name: head(features).log_softmax(-1) for name, head in self.heads.items()}, features)


@cache
def shipped_probe() -> Probe:
    """Load the probe that ships with the package."""
    model = Probe()
    model.load_state_dict(load_file(BUILTIN / "probe.safetensors"), strict=True)
    return model.eval()


def read_images(images: np.ndarray) -> Reading:
    """Apply the shipped probe to uint8 images [B, 32, 32, 3]."""
    return look(shipped_probe(), images)


@torch.no_grad()
@one_thread()
def look(network: nn.Module, images: np.ndarray) -> Any:
    """Apply a network to uint8 images [B, H, W, 3] or videos [B, F, H, W, 3]; one thread, as sums depend on their split."""
    return network(torch.from_numpy(images).movedim(-1, 1).float() / 127.5 - 1)

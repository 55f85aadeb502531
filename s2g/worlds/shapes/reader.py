"""The reader: a small CNN that says of a 32x32 image whether it shows one object or two, and what each of them is.

Objects are read by place: the first is the one to the left or above, or the only one. So a caption's attributes are held
against the object that stands where the caption puts it, and a swap is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
from safetensors.torch import load_file
from torch import Tensor, nn

from s2g.config.schema import BUILTIN
from s2g.worlds.shapes.captions import RELATIONS
from s2g.worlds.shapes.probe import FEATURES, convolutions, look
from s2g.worlds.shapes.world import ATTRIBUTES

LAYOUTS = ("one", *RELATIONS)


@dataclass(frozen=True)
class TwoRead:
    """What the reader says of B images: log probabilities of the layout [B, 3], of each object's attributes, and features."""

    layout: Tensor
    objects: tuple[dict[str, Tensor], dict[str, Tensor]]  # first and second: [B, values] by attribute
    features: Tensor  # [B, 64]


class Reader(nn.Module):
    """Images [B, 3, 32, 32] in [-1, 1] to a TwoRead; batch statistics are frozen in eval mode."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*convolutions(width), nn.Flatten())
        self.features = nn.Sequential(nn.Linear(64 * width, FEATURES), nn.ReLU())
        self.layout = nn.Linear(FEATURES, len(LAYOUTS))
        heads = [nn.ModuleDict({name: nn.Linear(FEATURES, count) for name, count in ATTRIBUTES.items()}) for _ in range(2)]
        self.objects = nn.ModuleList(heads)

    def forward(self, images: Tensor) -> TwoRead:
        seen = self.features(self.trunk(images))
        return TwoRead(self.layout(seen).log_softmax(-1), (self._read(0, seen), self._read(1, seen)), seen)

    def _read(self, place: int, seen: Tensor) -> dict[str, Tensor]:
        heads = cast(nn.ModuleDict, self.objects[place])
        return {name: head(seen).log_softmax(-1) for name, head in heads.items()}


@cache
def shipped_reader() -> Reader:
    """Load the reader that ships with the package."""
    model = Reader()
    model.load_state_dict(load_file(BUILTIN / "reader.safetensors"), strict=True)
    return model.eval()


def read_two(images: np.ndarray) -> TwoRead:
    """Apply the shipped reader to uint8 images [B, 32, 32, 3]."""
    return look(shipped_reader(), images)

"""A network whose features distances are taken in: where its weights are, which network it is, and its rows of numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from s2g.errors import UserError


@dataclass(frozen=True)
class Part:
    """Columns of a network's row that are features of their own, and the names of their statistics in a file."""

    name: str
    columns: slice
    mean: str = "mu"
    covariance: str = "sigma"
    kept: bool = True  # whether features of the reference's images are kept too, for distances that need them


class Network(ABC):
    """A frozen dataclass of weights and preprocessing; loads them when it first reads."""

    parts: ClassVar[tuple[Part, ...]]
    download: ClassVar[str]  # the official file, with its size

    @abstractmethod
    def check(self) -> None:
        """Raise UserError if the weights are not there."""

    @abstractmethod
    def identity(self) -> str:
        """Return what its features depend on: the weights' hash, and preprocessing where there is a choice."""

    def remark(self) -> str:
        """Say why its features are not comparable with published ones, "" if that is not known; checked weights only."""
        return ""

    @property
    def width(self) -> int | None:
        """Return how many numbers it reads off an image; None if only the weights say, and its columns then come last."""
        return None

    @abstractmethod
    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        """Return float32 rows [B, D] of uint8 images [B, H, W, 3]; device: cpu, cuda, cuda:0, ..., or auto."""

    def part(self, name: str) -> Part:
        """Return the part of a name; KeyError if the network has none."""
        return {part.name: part for part in self.parts}[name]


def place_of(device: str) -> str:
    """Return the torch device that a name means; UserError for CUDA where there is none."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device = {device}: torch sees no CUDA GPU on this machine", allowed="auto, cpu")
    return device

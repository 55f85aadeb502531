"""What is kept of a unit's images where a bench reads them as they are made: nothing, what was read, or images and both.

none      sha256 of every image: enough to hold runs against each other, and for their cost
features  what the bench's network reads, a row for each item in one array file
npz       images in one array file, features beside
png       images as files of their own, features beside
"""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from s2g.engine.bench import MeasuredBench

KEEPS = ("none", "features", "npz", "png")
IMAGES = ("npz", "png")
Features = Callable[[], Iterator[np.ndarray]]  # float32 [n, D] at a time, in item order; again from the first at each call


class Sink(Protocol):
    """What reads images as they are made."""

    @property
    def keep(self) -> str:
        """One of KEEPS."""
        ...

    def identity(self) -> str:
        """Which network reads: features of another one are not mixed with its. "none" where nothing is read."""
        ...

    def read(self, images: np.ndarray, device: str) -> np.ndarray:
        """float32 [B, D] of uint8 images [B, H, W, 3]; UserError for images that are not the bench's."""
        ...


class FeatureBench(MeasuredBench):
    """A bench measured from features that are read as images are made, for sets too large to hold in memory."""

    @property
    @abstractmethod
    def sink(self) -> Sink:
        """Return what reads the images."""

    @abstractmethod
    def gather(self, features: Features, num: int) -> dict[str, np.ndarray]:
        """Return per-item arrays [num, ...]; metrics work on these."""


@dataclass(frozen=True)
class Kept:
    """What is to be kept of one unit, beside or instead of its images."""

    form: str
    sink: str  # the identity of what read them
    features: np.ndarray | None  # float32 [B, D]


def kept_of(sink: Sink, images: np.ndarray, device: str) -> Kept:
    """What a sink has kept of a unit's uint8 images [B, H, W, 3]."""
    identity = sink.identity()
    return Kept(sink.keep, identity, None if identity == "none" else sink.read(images, device))


def serves(record: Mapping[str, Any], sink: Sink) -> bool:
    """Whether a unit's record says that enough was kept: features of this very network, or images to read them off."""
    kept = record.get("kept", "png")
    if sink.keep == "none" or kept in IMAGES:
        return True
    return sink.keep == "features" == kept and record.get("sink") == sink.identity()


@contextmanager
def spooled(parts: Iterable[np.ndarray]) -> Iterator[Features]:
    """Arrays that are made once, to be read as often as is wanted: they lie in temporary files meanwhile."""
    with tempfile.TemporaryDirectory(prefix="s2g-") as folder:
        paths = []
        for part in parts:
            paths.append(Path(folder) / f"{len(paths):06d}.npy")
            np.save(paths[-1], part, allow_pickle=False)
        yield lambda: (np.load(path, allow_pickle=False) for path in paths)

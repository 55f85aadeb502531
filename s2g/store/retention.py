"""What is stored of a unit where the bench extracts features while sampling:

none      sha256 of every image: enough to compare runs, and for their cost
features  the features, a row per item in one array file
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
Features = Callable[[], Iterator[np.ndarray]]  # float32 [n, D] at a time, in item order; each call starts from the first


class FeatureExtractor(Protocol):
    """The network that reads features off images as they are sampled."""

    @property
    def keep(self) -> str:
        """One of KEEPS."""
        ...

    def identity(self) -> str:
        """Return which network reads, so that features of two networks are never mixed; "none" if nothing is read."""
        ...

    def read(self, images: np.ndarray, device: str) -> np.ndarray:
        """Return float32 [B, D] of uint8 images [B, H, W, 3]; UserError for images that are not the bench's."""
        ...


class FeatureBench(MeasuredBench):
    """A bench measured from features that are extracted while sampling, for sets too large to hold in memory."""

    @property
    @abstractmethod
    def extractor(self) -> FeatureExtractor:
        """Return what extracts the features."""

    @abstractmethod
    def gather(self, features: Features, num: int) -> dict[str, np.ndarray]:
        """Return per-item arrays [num, ...]; metrics work on these."""


@dataclass(frozen=True)
class Kept:
    """What is stored of one unit beside or instead of its images."""

    form: str  # one of KEEPS
    extractor: str  # its identity
    features: np.ndarray | None  # float32 [B, D]


def extract(extractor: FeatureExtractor, images: np.ndarray, device: str) -> Kept:
    """Return what is to be stored of a unit's uint8 images [B, H, W, 3]."""
    identity = extractor.identity()
    return Kept(extractor.keep, identity, None if identity == "none" else extractor.read(images, device))


def suffices(record: Mapping[str, Any], extractor: FeatureExtractor) -> bool:
    """Return whether a unit's record lists enough: features of this very network, or images to extract them from."""
    kept = record.get("kept", "png")
    if extractor.keep == "none" or kept in IMAGES:
        return True
    return extractor.keep == "features" == kept and record.get("sink") == extractor.identity()


@contextmanager
def spooled(parts: Iterable[np.ndarray]) -> Iterator[Features]:
    """Write arrays to temporary files as they are computed, so that they can be read several times until the block ends."""
    with tempfile.TemporaryDirectory(prefix="s2g-") as folder:
        paths = []
        for part in parts:
            paths.append(Path(folder) / f"{len(paths):06d}.npy")
            np.save(paths[-1], part, allow_pickle=False)
        yield lambda: (np.load(path, allow_pickle=False) for path in paths)

"""What bench=imagenet and bench=folder share: features by networks, and distances of them from a reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.distances import clip, dinov2, inception
from s2g.benchmarks.distances.clip import ARCHITECTURE
from s2g.benchmarks.distances.extractor import Extractor
from s2g.benchmarks.distances.kinds import KINDS, Compared
from s2g.benchmarks.distances.metrics import DISTANCES, OF_IMAGES, OF_STATISTICS, Distance, networks_of
from s2g.benchmarks.distances.network import Network
from s2g.benchmarks.distances.reference import Reference
from s2g.engine.bench import Arrays, Metric
from s2g.errors import SeveralError, UserError, gathered, unknown
from s2g.metrics.frechet import Moments
from s2g.metrics.inception_score import splits
from s2g.store.retention import KEEPS, FeatureBench, Features

BLOCK = 1024  # rows of features a matrix product takes at once
KEEP = "features"  # where nobody says
IMAGE_MB = {"none": 0.0, "features": 0.0, "npz": 0.197, "png": 0.13}  # an image of 256 x 256
ROW_MB = {"inception": 0.0203, "clip": 0.0031, "dinov2": 0.0041}  # 5,079, 768 and 1,024 numbers of 4 bytes


@dataclass(frozen=True)
class DistanceBench(FeatureBench):
    """Features of `score`'s networks, kept or read later; what items are is the subclass's."""

    num: int
    keep: str | None = None  # what images are kept for; None: features
    score: tuple[str, ...] = tuple(DISTANCES)
    inception: str = inception.OFFICIAL
    dinov2: str = dinov2.OFFICIAL
    dinov2_resize: str = "pillow"
    clip: str = clip.OFFICIAL
    clip_architecture: str = ARCHITECTURE
    reference: str = ""

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ("inception", "dinov2", "clip", "reference")

    def __post_init__(self) -> None:
        if self.keep not in (*KEEPS, None):
            raise unknown("bench.keep", str(self.keep), KEEPS)
        for name in self.score:
            if name not in DISTANCES:
                raise unknown("bench.score", name, DISTANCES)
        dinov2.DinoV2(self.dinov2, self.dinov2_resize)  # refuses an unknown resize

    @property
    @abstractmethod
    def image_side(self) -> int | None:
        """Return the side of the images, in pixels; None: any size, as long as it is one."""

    @property
    def fits(self) -> bool:
        """Return whether images of other sizes are cropped and resized to `image_side`."""
        return False

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the metrics asked for; none if nothing is kept to measure."""
        return tuple(distance.metric for distance in self._distances)

    @property
    def _distances(self) -> tuple[Distance, ...]:
        return () if self.keep == "none" else tuple(one for one in DISTANCES.values() if one.name in self.score)

    @property
    def networks(self) -> dict[str, Network]:
        """Return the networks that the metrics need, by name, in the order of a row; without any, Inception."""
        known = {
            "inception": inception.Inception(self.inception),
            "clip": clip.UnitClip(self.clip, self.clip_architecture),
            "dinov2": dinov2.DinoV2(self.dinov2, self.dinov2_resize),
        }
        return {name: known[name] for name in networks_of(one.name for one in self._distances) or ("inception",)}

    @property
    def extractor(self) -> Extractor:
        """Return what extracts features while sampling."""
        networks = tuple(self.networks.values())
        return Extractor(self.keep or KEEP, networks, self.image_side, bool(self.score), self.fits, self.name)

    @property
    def downloads(self) -> tuple[str, ...]:
        return tuple(network.download for network in self.networks.values()) if self._distances else ()

    @property
    def kept_mb(self) -> float:
        """Return an item's size in MB as it is stored."""
        rows = 0.0 if self.keep == "none" else sum(ROW_MB[name] for name in self.networks)
        return IMAGE_MB[self.keep or KEEP] + rows

    def placed(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bench as typed, with absolute paths of its files; clip may be a name."""
        places = {key: Path(getattr(self, key)).expanduser() for key in self.files}
        kept = {key: str(path.absolute()) for key, path in places.items() if key != "clip" or path.is_file()}
        return {**typed, "keep": self.keep, **kept}

    def version(self) -> dict[str, Any]:
        self.check_files()
        about: dict[str, Any] = {"bench": self.name, "version": 1}
        for name, network in self.networks.items() if self._distances else ():
            about[name] = network.identity()
        about |= {"reference": self.referred.identity()} if self.compares else {}
        return {**about, "score": [metric.name for metric in self.metrics]}

    def measure(self, values: np.ndarray, items: Any) -> dict[str, np.ndarray]:
        """Measure a set of images as if it were all there is."""
        features = self.extractor.read(values, "auto")
        return self.gather(lambda: iter([features]), len(features))

    def gather(self, features: Features, num: int) -> dict[str, np.ndarray]:
        """Return numbers [num] by metric whose means are the metrics; features are read several times, never held at once.

        But for precision, recall, MIND and CMMD, which need all at once and the reference's: 1.6 GB for 50,000.
        """
        extractor, compared = self.extractor, {}
        for distance in self._distances:
            part = distance.part
            if part not in compared:
                columns = extractor.columns(self._network_of(part).part(part))
                compared[part] = Compared(
                    num,
                    lambda columns=columns: splits((block[:, columns] for block in features()), num, BLOCK),
                    lambda part=part: self.moments(part),
                    lambda part=part: self.reference_features(part),
                )
        return {one.name: KINDS[one.kind](compared[one.part]) for one in self._distances}

    def moments(self, part: str) -> Moments:
        """Return moments of a part of the reference's features."""
        return self.referred.moments(part, self._network_of(part))

    def reference_features(self, part: str = "pool") -> np.ndarray:
        """Return a part of the features [M, D] of the reference images."""
        return self.referred.features(part, self._network_of(part))

    def _network_of(self, part: str) -> Network:
        return next(network for network in self.networks.values() if part in (one.name for one in network.parts))

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Name networks whose weights are not the official file."""
        return [said for network in self.networks.values() if self._distances and (said := network.remark())]

    def check_files(self) -> None:
        """Raise UserError for files that scoring needs and that are missing or wrong, all in one message."""
        errors: list[UserError] = []
        if self._distances:
            for network in self.networks.values():
                with gathered(errors):
                    network.check()
            if self.compares:
                with gathered(errors):
                    self.check_reference()
        if errors:
            raise SeveralError.of(errors)

    def check_reference(self) -> None:
        """Raise UserError if the reference is missing or not what the metrics need."""
        self.referred.check(any(one.kind in OF_IMAGES or one.network != "inception" for one in self._distances))

    @property
    def compares(self) -> bool:
        """Return whether any metric asked for needs the reference."""
        return any(one.kind in (*OF_STATISTICS, *OF_IMAGES) for one in self._distances)

    @cached_property
    def referred(self) -> Reference:
        """Return the reference."""
        return self.make_reference()

    @abstractmethod
    def make_reference(self) -> Reference:
        """Return the reference of `bench.reference`."""

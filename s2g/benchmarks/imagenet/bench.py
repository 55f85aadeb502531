"""bench=imagenet: 256 x 256 class-conditional samples by the ADM evaluator's protocol (docs/imagenet.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from s2g.benchmarks.imagenet import inception
from s2g.benchmarks.imagenet.inception import LOGITS, POOL, SPATIAL
from s2g.benchmarks.imagenet.labels import CLASSES, LABELS, described, labels_of
from s2g.benchmarks.imagenet.reference import OFFICIAL, Reference
from s2g.config.coerce import at_least
from s2g.config.schema import ModelConfig
from s2g.engine.bench import NOT_NEGATIVE, Arrays, Metric
from s2g.errors import UserError, unknown
from s2g.metrics.frechet_influence import frechet_items
from s2g.metrics.inception_score import inception_score_items, splits
from s2g.metrics.kernel_distance import kernel_items
from s2g.metrics.manifold import Manifold
from s2g.store.retention import IMAGES, KEEPS, FeatureBench, Features

SIDE = 256
NEAREST = 3  # k of precision and recall; openai/guided-diffusion, evaluations
BLOCK = 1024  # rows of features a matrix product takes at once
OF_IMAGES = ("precision", "recall", "kid")  # what needs the reference images' own features
ALONE = ("is",)  # what needs no reference
DOWNLOADS = (f"{OFFICIAL}, 2 GB", f"{inception.OFFICIAL}, 91 MB")
LICENCES = ("ADM statistics: MIT", "ImageNet images behind the statistics: non-commercial research")
KEEP = "features"  # where nobody says
KEPT_MB = {"none": 0.0, "features": 0.0203, "npz": 0.217, "png": 0.15}  # an item; 5,079 numbers of 4 bytes; a PNG about 0.13


def _recall(of: Arrays) -> float:
    return float(of["recall"][0])  # of the whole set; the same number with every item


METRICS = (
    # Heusel et al. (arXiv 1706.08500) and Nash et al. (arXiv 2103.03841). All but precision and recall are numbers of the
    # whole set, written as means over items (s2g/metrics/frechet_influence.py).
    Metric("fid", "FID", False, 2, items=lambda of: of["fid"], limits=NOT_NEGATIVE),
    Metric("sfid", "sFID", False, 2, items=lambda of: of["sfid"], limits=NOT_NEGATIVE),
    Metric("is", "IS", True, 2, items=lambda of: of["is"]),
    Metric("precision", "precision", True, 3, items=lambda of: of["precision"], bounds=(0.0, 1.0)),
    Metric("recall", "recall", True, 3, value=_recall, limits=(0.0, 1.0)),
    Metric("kid", "KID x 1000", False, 3, items=lambda of: 1000.0 * of["kid"], main=False),
)
NAMES = tuple(metric.name for metric in METRICS)


@dataclass(frozen=True)
class InceptionExtractor:
    """Inception's features of images of the right size."""

    keep: str
    weights: str
    scored: bool = True  # images that nothing is to be scored of need not be read

    def identity(self) -> str:
        return "none" if self.idle else inception.identity(self.weights)

    @property
    def idle(self) -> bool:
        """Return whether images go unread: none are kept to score, or they are kept themselves and read when scored.

        Only runs of random weights come here without Inception (`ImageNet.check`).
        """
        later = not self.scored or not Path(self.weights).expanduser().is_file()
        return self.keep == "none" or (self.keep in IMAGES and later)

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
            raise UserError(
                f"bench = imagenet: the model made {images.dtype} of {list(images.shape[1:])}",
                allowed=f"uint8 images of {SIDE} x {SIDE}",
            )
        return inception.read(self.weights, images, device)


@dataclass(frozen=True)
class ImageNet(FeatureBench):
    """50,000 items, classes by `labels`; protocol of openai/guided-diffusion, folder evaluations (MIT)."""

    num: int = 50_000
    labels: str = "uniform"
    label_seed: int = 0
    keep: str | None = None  # what images are kept for; None: `fitted` chooses by the model
    score: tuple[str, ...] = NAMES
    inception: str = inception.OFFICIAL
    reference: str = OFFICIAL

    def __post_init__(self) -> None:
        for key, allowed in (("labels", LABELS), ("keep", KEEPS)):
            if getattr(self, key) not in (*allowed, None):
                raise unknown(f"bench.{key}", getattr(self, key), allowed)
        for name in self.score:
            if name not in NAMES:
                raise unknown("bench.score", name, NAMES)
        at_least(self.label_seed, 0, "bench.label_seed")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the metrics asked for; none if nothing is kept to measure."""
        return () if self.keep == "none" else tuple(metric for metric in METRICS if metric.name in self.score)

    @property
    def downloads(self) -> tuple[str, ...]:
        """List what scoring needs to have been fetched, with sizes."""
        return () if not self.metrics else DOWNLOADS if self._compares else DOWNLOADS[1:]

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licenses of what is fetched."""
        return LICENCES if self.metrics and self._compares else ()

    @property
    def cycle(self) -> int:
        return CLASSES if self.labels == "balanced" else 0

    @property
    def extractor(self) -> InceptionExtractor:
        """Return what extracts features while sampling."""
        return InceptionExtractor(self.keep or KEEP, self.inception, bool(self.score))

    @property
    def kept_mb(self) -> float:
        """Return an item's size in MB as it is stored."""
        return KEPT_MB[self.keep or KEEP]

    def fitted(self, model: ModelConfig) -> ImageNet:
        """Choose what is kept of a model's images if nobody says: images if weights are random, to be looked at."""
        return self if self.keep is not None else replace(self, keep="png" if model.random else KEEP)

    def check(self, model: ModelConfig) -> None:
        classes = model.network.get("num_classes")
        if (classes, model.resolution) != (CLASSES, SIDE):
            does = "paints what words say" if model.reads_text else f"makes {classes} classes"
            raise UserError(
                f"bench = imagenet: {model.name} {does} at {model.resolution} pixels",
                allowed=f"models of {CLASSES} classes at {SIDE} pixels: sit_xl, dit_xl",
            )
        # That a network runs can be seen without them; scoring asks then.
        if not (model.random and self.keep in IMAGES):
            self._files()

    def placed(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bench as typed, with absolute paths of its files."""
        places = {key: str(Path(getattr(self, key)).expanduser().absolute()) for key in ("inception", "reference")}
        return {**typed, "keep": self.keep, **places}

    def items_id(self) -> Any:
        return described(self.labels, self.label_seed)

    def version(self) -> dict[str, Any]:
        self._files()
        if not self.metrics:
            return {"bench": "imagenet", "version": 1, "score": []}
        about = {"inception": inception.identity(self.inception)}
        about |= {"reference": self._reference.identity()} if self._compares else {}
        return {"bench": "imagenet", "version": 1, **about, "score": [metric.name for metric in self.metrics]}

    def prompts(self, items: Sequence[int]) -> list[int]:
        return labels_of(self.labels, self.label_seed, items)

    def caption(self, item: int) -> str:
        return f"class {self.prompts([item])[0]}"

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        """Measure a set of images as if it were all there is."""
        features = self.extractor.read(values, "auto")
        return self.gather(lambda: iter([features]), len(features))

    def gather(self, features: Features, num: int) -> dict[str, np.ndarray]:
        """Return numbers [num] by metric whose means are the metrics; features are read several times, never held at once.

        But for precision and recall, which need all at once and the reference's: 1.6 GB for 50,000.
        """

        def blocks(columns: slice) -> Iterator[np.ndarray]:
            yield from splits((block[:, columns] for block in features()), num, BLOCK)

        found: dict[str, np.ndarray] = {}
        wanted = {metric.name for metric in self.metrics}
        for name, which, columns in (("fid", "pool", POOL), ("sfid", "spatial", SPATIAL)):
            if name in wanted:
                found[name] = frechet_items(lambda columns=columns: blocks(columns), self.moments(which))
        if "is" in wanted:
            found["is"] = inception_score_items((block[:, LOGITS] for block in features()), num)
        if wanted & set(OF_IMAGES):
            found |= self._against_images(lambda: blocks(POOL), num, wanted)
        return found

    def _against_images(self, pool: Features, num: int, wanted: set[str]) -> dict[str, np.ndarray]:
        real, found = self.reference_features(), {}
        if "kid" in wanted:
            found["kid"] = kernel_items(pool(), num, real)
        if "precision" in wanted:
            manifold = Manifold.of(real, NEAREST)
            found["precision"] = np.concatenate([manifold.balls_of(block) > 0 for block in pool()]).astype(np.float64)
        if "recall" in wanted:
            own = np.concatenate([np.asarray(block, np.float32) for block in pool()])
            share = float((Manifold.of(own, NEAREST).balls_of(real) > 0).mean()) if num > NEAREST else float("nan")
            found["recall"] = np.full(num, share)
        return found

    def moments(self, which: str) -> Any:
        """Return moments of the reference's "pool" or "spatial" features."""
        return self._reference.moments(which, self.extractor.read, self.extractor.identity())

    def reference_features(self) -> np.ndarray:
        """Return the pool features [M, 2048] of the reference images."""
        return self._reference.features(self.extractor.read, self.extractor.identity())

    def _files(self) -> None:
        """Raise UserError for files that scoring needs and that are missing or wrong."""
        if self.metrics:
            inception.weights_file(self.inception)
            if self._compares:
                self._reference.check(any(metric.name in OF_IMAGES for metric in self.metrics))

    @property
    def _compares(self) -> bool:
        """Return whether any metric asked for needs the reference."""
        return any(metric.name not in ALONE for metric in self.metrics)

    @cached_property
    def _reference(self) -> Reference:
        return Reference(self.reference, SIDE)

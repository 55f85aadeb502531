"""bench=fashion: ten kinds of clothes in turn, held against Fashion-MNIST's photographs in a classifier's features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from s2g.benchmarks.common_metrics import (
    confidence,
    feature_distance,
    manifold_metrics,
    percent,
    stored_manifold,
    stored_moments,
)
from s2g.benchmarks.fashion.fetch import fetch
from s2g.config.schema import FASHION, ModelConfig
from s2g.engine.bench import Arrays, MeasuredBench, Metric
from s2g.errors import UserError
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.metrics.kernel_distance import kernel_items
from s2g.metrics.neighbours import nearest
from s2g.metrics.pixels import clipped, contrast, sharpness
from s2g.worlds.fashion.data import CLASSES, SIZE, default_root, folder_of, photographs
from s2g.worlds.images import as_floats

CLASSIFIER = FASHION / "fashion_classifier.safetensors"  # read by s2g/worlds/fashion/classifier.py
# Moments of the 60,000 training images' features, features of 2,000 of them, distances of real test images from them,
# and test images to look at: written by `scripts/train.py export model=fashion_classifier`.
REFERENCE = FASHION / "fashion_reference.npz"
AUTO = "auto"  # bench.data: where the Debian package or `s2g fetch fashion` puts the data
KEY = "bench.data"


def _kernel(of: Arrays) -> np.ndarray:
    features = of["features"]
    return kernel_items([features], len(features), stored_manifold(REFERENCE, 3).points)


METRICS = (
    feature_distance("fashion FD", lambda: stored_moments(REFERENCE), 2),
    percent("accuracy", "right class %", lambda of: of["read"] == of["label"], main=True),
    *manifold_metrics("fashion", REFERENCE),
    Metric("kd", "fashion KD", False, 2, items=_kernel, main=False),
    confidence(lambda of: np.take_along_axis(of["probabilities"], of["label"][:, None].astype(np.int64), 1)[:, 0]),
    Metric("contrast", "contrast", None, 3, items=lambda of: of["contrast"], main=False),
    Metric("sharpness", "sharpness", None, 4, items=lambda of: of["sharpness"], main=False),
    percent("clipped", "clipped %", lambda of: of["clipped"], None, digits=2),
)
# Root mean square gray levels from the most similar training image: far below that of real test images, samples are copies.
COPIES = Metric("nearest", "to nearest training image", None, 1, items=lambda of: of["nearest"], main=False)


@dataclass(frozen=True)
class Fashion(MeasuredBench):
    """Item i is of class i mod 10; no number needs the photographs themselves but `nearest`, which asks for them."""

    num: int = 500
    data: str | None = None  # for `nearest`: a folder of Fashion-MNIST's files, or auto

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS if self.data is None else (*METRICS, COPIES)

    @property
    def cycle(self) -> int:
        return len(CLASSES)

    def check(self, model: ModelConfig) -> None:
        of = model.network.get("num_classes"), model.resolution, model.network.get("channels")
        if of != (len(CLASSES), SIZE, 1):
            raise UserError(
                f"bench = fashion: {model.name} makes {of[0]} classes at {of[1]} pixels in {of[2]} channels",
                allowed="models of 10 classes at 28 pixels in 1 channel: fashion_sit, fashion_sit_small",
            )
        if self.data is not None:
            folder_of(self._root, KEY)

    @property
    def _root(self) -> str:
        return "" if self.data in (None, AUTO) else str(self.data)

    def items_id(self) -> Any:
        return {"labels": f"index mod {len(CLASSES)}"}

    def version(self) -> dict[str, Any]:
        known = {"bench": "fashion", "version": 1, "classifier": content_hash(CLASSIFIER), "reference": content_hash(REFERENCE)}
        return known if self.data is None else {**known, "nearest": "train"}

    def placed(self, typed: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.data in (None, AUTO):
            return typed
        return {**typed, "data": str(folder_of(self._root, KEY).absolute())}

    def prompts(self, items: Sequence[int]) -> list[int]:
        return [item % len(CLASSES) for item in items]

    def caption(self, item: int) -> str:
        return CLASSES[item % len(CLASSES)]

    def unseen(self, indices: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        """Return test images, image i mod 10,000 of them."""
        test = photographs("t10k", self._root, KEY)
        images = test.where(np.array(indices) % len(test))
        return as_floats(images.pixels), images.label.tolist()

    def real_images(self, items: Sequence[int]) -> np.ndarray:
        pixels, _ = real_images()
        return np.repeat(pixels[np.asarray(items) % len(pixels), :, :, None], 3, axis=3)

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        with uninterrupted():
            from s2g.worlds.fashion.classifier import read_clothes  # loads torch

        probabilities, features = read_clothes(values)
        found = {"label": np.array(self.prompts(items), np.int8), "read": probabilities.argmax(1).astype(np.int8)}
        found |= {"probabilities": probabilities, "features": features}
        found |= {"contrast": contrast(values), "sharpness": sharpness(values), "clipped": clipped(values)}
        return found if self.data is None else {**found, "nearest": off_by(values, self._root)}

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        read, asked = CLASSES[int(arrays["read"][item])], self.caption(item)
        return {"class": read == asked}, "" if read == asked else f"the classifier reads: {read}"

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Return the floor: what real photographs score."""
        of, floors = reference_floors()
        told = f"fashion FD of the {of[-1]:,} real test images: {floors[-1]:.3f}"
        beside = [(n, floor) for n, floor in zip(of, floors, strict=True) if n <= num][-1:]
        return [told + "".join(f"; of {n:,} of them: {floor:.3f}" for n, floor in beside if n < of[-1])]

    @classmethod
    def downloaders(cls, prompts_only: bool) -> Sequence[Callable[[], Sequence[str]]]:
        return (fetch,)

    @property
    def downloads(self) -> tuple[str, ...]:
        return () if self.data is None else ("Fashion-MNIST, 30 MB",)

    @property
    def licences(self) -> tuple[str, ...]:
        return () if self.data is None else ("Fashion-MNIST: MIT",)


@cache
def reference_floors() -> tuple[list[int], list[float]]:
    """Return numbers of real test images and their Fréchet distance from the reference, the whole test set last."""
    with np.load(REFERENCE) as stored:
        return stored["floor_of"].tolist(), stored["floor"].tolist()


@cache
def real_images() -> tuple[np.ndarray, np.ndarray]:
    """Return test images to look at, uint8 [40, 28, 28], and their classes [40]: item i of a grid beside i mod 40."""
    with np.load(REFERENCE) as stored:
        return stored["pixels"], stored["label"].astype(np.int64)


def off_by(images: np.ndarray, root: str) -> np.ndarray:
    """Return the RMS difference [B], in gray levels, of images [B, 28, 28, 3] from the most similar training image."""
    known = photographs("train", root or str(default_root()), KEY).pixels
    flat = images[..., 0].reshape(len(images), -1).astype(np.float64)
    return nearest(known.reshape(len(known), -1).astype(np.float64), flat) / SIZE

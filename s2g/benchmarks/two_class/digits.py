"""bench=digits: two handwritten digits in turn, read by a small classifier trained on all ten (docs/digits.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.common_metrics import percent
from s2g.benchmarks.two_class.bench import PairBench, metrics
from s2g.config.schema import PAIRS
from s2g.engine.bench import Arrays, Metric
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.metrics.neighbours import nearest
from s2g.worlds.two_class.digits import DIGITS, PAIR, SIZE

PROBE = PAIRS / "digits_probe.safetensors"  # read by s2g/worlds/two_class/probe.py
# Features, classes and pixels of the real images, written by `scripts/train.py export model=digits_probe`, so that
# scores are read back without scikit-learn and torch; a test holds it against both.
REFERENCE = PAIRS / "digits_reference.npz"


@dataclass(frozen=True)
class Digits(PairBench):
    """Real images: all 356 of the two digits in scikit-learn's set; features: the last hidden layer of the probe, 64."""

    num: int = 1024

    name: ClassVar[str] = "digits"
    kind: ClassVar[str] = "digits"
    pair: ClassVar[tuple[str, str]] = PAIR
    shape: ClassVar[tuple[int, int]] = (SIZE, 1)
    models: ClassVar[str] = "digits_sit"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        wanted = np.array([int(name) for name in self.pair])
        return (
            percent("accuracy", "right digit %", lambda of: of["digit"] == wanted[of["label"]], main=True),
            *metrics(self),
            # Root mean square grey levels. Of held-out images 35.5 (docs/digits.md): far below that, samples are copies.
            Metric("nearest", "to nearest training image", None, 1, items=lambda of: of["nearest"], main=False),
        )

    def version(self) -> dict[str, Any]:
        return {"bench": self.name, "version": 1, "probe": content_hash(PROBE), "reference": content_hash(REFERENCE)}

    def real(self) -> tuple[np.ndarray, np.ndarray]:
        stored = reference()
        return stored["features"], stored["label"]

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        with uninterrupted():
            from s2g.worlds.two_class.probe import read_digits  # loads torch

        digit, features = read_digits(images)
        stored = reference()
        return {"features": features, "digit": digit, "nearest": off_by(images, stored["pixels"][~stored["held_out"]])}

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        read, asked = int(arrays["digit"][item]), self.caption(item)
        right = DIGITS[read] == asked
        return {"digit": right}, "" if right else f"the probe reads: {DIGITS[read]}"


def off_by(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the RMS difference [B], in grey levels, of images [B, H, W, C] from the most similar of `known` [M, H, W, 1]."""
    flat, others = (grey[..., 0].reshape(len(grey), -1).astype(np.float64) for grey in (images, known))
    return nearest(others, flat) / np.sqrt(flat.shape[1])


@cache
def reference() -> dict[str, np.ndarray]:
    """Return features [356, 64], label [356], pixels [356, 8, 8, 1] and held_out [356] of the real images."""
    with np.load(REFERENCE) as stored:
        return {**stored, "label": stored["label"].astype(np.int64)}

"""bench=shapes: the 108 classes of the built-in world in turn, read by its probe. No number here is an ImageNet number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from s2g.config import BUILTIN, ModelConfig, file_hash
from s2g.engine.bench import Metric
from s2g.errors import UserError
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.inception_style import inception_style
from s2g.shapes.world import ATTRIBUTES, NUM_CLASSES, SIZE, attributes_of, class_name

PROBE = BUILTIN / "probe.safetensors"  # read by s2g/shapes/probe.py
REFERENCE = BUILTIN / "reference.npz"
STRIDE = 41  # shares no factor with 108


def _accuracy(name: str) -> Metric:
    return Metric(name, f"{name} %", True, 1, items=lambda of: 100.0 * of[name], main=False)


METRICS = (
    Metric("joint", "all right %", True, 1, items=lambda of: 100.0 * np.logical_and.reduce([of[a] for a in ATTRIBUTES])),
    *(_accuracy(name) for name in ATTRIBUTES),
    Metric("fd", "probe FD", False, 1, value=lambda of: frechet_distance(Moments.of(of["features"]), reference())),
    Metric("pis", "probe IS", True, 1, value=lambda of: inception_style(of["probabilities"])),
)


@dataclass(frozen=True)
class Shapes:
    """Item i is class 41 i mod 108: every class equally often, and any few neighbours are of different kinds."""

    num: int = 256

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    def check(self, model: ModelConfig) -> None:
        classes = model.network.get("num_classes")
        if (classes, model.resolution) != (NUM_CLASSES, SIZE):
            raise UserError(
                f"bench = shapes: {model.name} makes {classes} classes at {model.resolution} pixels",
                allowed=f"models of {NUM_CLASSES} classes at {SIZE} pixels: tiny_sit",
            )

    def items_id(self) -> Any:
        return {"labels": f"{STRIDE} index mod {NUM_CLASSES}"}

    def version(self) -> dict[str, Any]:
        return {"bench": "shapes", "version": 1, "probe": file_hash(PROBE), "reference": file_hash(REFERENCE)}

    def prompts(self, items: Sequence[int]) -> list[int]:
        return [item * STRIDE % NUM_CLASSES for item in items]

    def caption(self, item: int) -> str:
        return class_name(item * STRIDE % NUM_CLASSES)

    def measure(self, images: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        from s2g.shapes.probe import read_images

        reading = read_images(images)
        truth = attributes_of(np.array(self.prompts(items)))
        right = {name: reading.logp[name].argmax(-1).numpy() == truth[name] for name in ATTRIBUTES}
        return {**right, "features": reading.features.numpy(), "probabilities": reading.joint().numpy()}


@cache
def reference() -> Moments:
    """Moments of the probe's features of 10,000 true scenes (scripts/train_shapes.py reference)."""
    stored = np.load(REFERENCE)
    return Moments(stored["mean"], stored["covariance"])

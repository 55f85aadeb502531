"""bench=shapes: the 108 classes of the built-in world in turn, read by its probe. No number here is an ImageNet number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2g.benchmarks.common_metrics import (
    PIXELS,
    confidence,
    feature_distance,
    manifold_metrics,
    percent,
    pixel_arrays,
    prompt_diversity,
    stored_moments,
)
from s2g.config.schema import BUILTIN, ModelConfig
from s2g.engine.bench import Arrays, MeasuredBench, Metric
from s2g.errors import UserError
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.metrics.inception_score import inception_style, inception_style_items
from s2g.worlds.shapes.render import render
from s2g.worlds.shapes.world import (
    ATTRIBUTES,
    FULL,
    GREY,
    HELD_OUT_SEED,
    JITTER,
    NUM_CLASSES,
    SIZE,
    attributes_of,
    class_name,
    scenes,
)

PROBE = BUILTIN / "probe.safetensors"  # read by s2g/worlds/shapes/probe.py
REFERENCE = BUILTIN / "reference.npz"
STRIDE = 41  # shares no factor with 108


def _accuracy(name: str) -> Metric:
    return percent(name, f"{name} %", lambda of: of[name])


METRICS = (
    percent("joint", "all right %", lambda of: np.logical_and.reduce([of[a] for a in ATTRIBUTES]), main=True),
    *(_accuracy(name) for name in ATTRIBUTES),
    feature_distance("probe FD", lambda: stored_moments(REFERENCE)),
    Metric(
        "pis",
        "probe IS",
        True,
        1,
        limits=(1.0, np.inf),
        value=lambda of: inception_style(of["probabilities"]),
        influence=lambda of: inception_style_items(of["probabilities"]),
    ),
    *manifold_metrics("probe", REFERENCE),
    # Of true scenes 3.6; errors add to it as variety does, so it is to be read beside "all right". Below 432 items its
    # interval is too wide (by 1.7): the items of a pair lie in two units, and leaving out either takes the pair.
    prompt_diversity("layout diversity", "layout", "label", main=True),
    confidence(lambda of: np.take_along_axis(of["probabilities"], of["label"][:, None], 1)[:, 0]),
    *PIXELS,
)


@dataclass(frozen=True)
class Shapes(MeasuredBench):
    """Item i is class 41 i mod 108: every class equally often, and any few neighbours are of different kinds."""

    num: int = 256

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    @property
    def cycle(self) -> int:
        return NUM_CLASSES

    def check(self, model: ModelConfig) -> None:
        classes = model.network.get("num_classes")
        if (classes, model.resolution) != (NUM_CLASSES, SIZE):
            does = "paints what words say" if model.reads_text else f"makes {classes or 'no'} classes"
            raise UserError(
                f"bench = shapes: {model.name} {does} at {model.resolution} pixels",
                allowed=f"models of {NUM_CLASSES} classes at {SIZE} pixels: tiny_sit",
                todo="bench=NAME: fashion for fashion_sit, gmm for toy and exact models, digits for digits_sit, shapes_t2i for "
                "captions, imagenet for SiT-XL and DiT-XL; s2g ls lists all",
            )

    def items_id(self) -> Any:
        return {"labels": f"{STRIDE} index mod {NUM_CLASSES}"}

    def version(self) -> dict[str, Any]:
        return {"bench": "shapes", "version": 2, "probe": content_hash(PROBE), "reference": content_hash(REFERENCE)}

    def prompts(self, items: Sequence[int]) -> list[int]:
        return [item * STRIDE % NUM_CLASSES for item in items]

    def caption(self, item: int) -> str:
        return class_name(item * STRIDE % NUM_CLASSES)

    def unseen(self, indices: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        drawn = scenes(HELD_OUT_SEED, np.array(indices))
        return render(drawn) * 2 - 1, drawn.label.tolist()

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        with uninterrupted():
            from s2g.worlds.shapes.probe import read_images  # loads torch

        images, reading = values, read_images(values)
        label = np.array(self.prompts(items))
        truth = attributes_of(label)
        right = {name: reading.logp[name].argmax(-1).numpy() == truth[name] for name in ATTRIBUTES}
        read = {"features": reading.features.numpy(), "probabilities": reading.joint().numpy()}
        return {"label": label, **right, **read, **pixel_arrays(images), "layout": layout(images)}

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        right = {name: bool(arrays[name][item]) for name in ATTRIBUTES}
        read = class_name(int(arrays["probabilities"][item].argmax()))
        return right, "" if all(right.values()) else f"the probe reads: {read}"


def layout(images: np.ndarray) -> np.ndarray:
    """Measure what a class leaves free in a scene: position x, y, size, background brightness, mean color; [B, 7].

    Read off uint8 images [B, 32, 32, 3] without the probe: the ground is the border's median colour, the object what
    differs from it. In units of the standard deviation each has over true scenes (uniform of half width a: a / sqrt 3;
    size is the root of the object's area, 0.78 radii on average).
    """
    pixels = images / 255.0
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    ground = np.median(border, axis=1)
    inside = np.abs(pixels - ground[:, None, None]).max(-1) > 0.12  # above samples' noise, below any object's contrast
    area = inside.sum((1, 2)).clip(1)
    axis = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    x, y = (inside.sum(1) * axis).sum(1) / area, (inside.sum(2) * axis).sum(1) / area
    color = (pixels * inside[..., None]).sum((1, 2)) / area[:, None]
    spread = np.array([FULL.center, FULL.center, 0.78 * np.ptp(FULL.radius) / 2, np.ptp(GREY) / 2, *[JITTER] * 3])
    read = np.column_stack([x, y, np.sqrt(area) / SIZE, ground.mean(1), color])
    return (read / spread * np.sqrt(3)).astype(np.float32)

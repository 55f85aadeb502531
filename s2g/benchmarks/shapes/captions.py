"""bench=shapes_t2i: captions of one and two objects, read by the reader. No number here is one of T2I-CompBench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2g.benchmarks.common_metrics import (
    PERCENT,
    PIXELS,
    confidence,
    feature_distance,
    percent,
    pixel_arrays,
    prompt_diversity,
    stored_moments,
)
from s2g.config.schema import BUILTIN, ModelConfig, model_names
from s2g.engine.bench import Arrays, MeasuredBench, Metric
from s2g.errors import UserError
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.metrics.subset_mean import subset_mean_items
from s2g.worlds.shapes.captions import RELATIONS, caption, draw_classes, render
from s2g.worlds.shapes.prompts import COUNT, KIND, KIND_OF, prompt_classes
from s2g.worlds.shapes.vocabulary import STILLS
from s2g.worlds.shapes.world import ATTRIBUTES, HELD_OUT_SEED, SIZE, attributes_of, class_name, label_of

READER = BUILTIN / "reader.safetensors"  # read by s2g/worlds/shapes/reader.py
REFERENCE = BUILTIN / "captioned.npz"


def _all(of: Arrays) -> np.ndarray:
    return np.logical_and.reduce([of["relation"], *(of[name] >= 1 for name in ATTRIBUTES)])


def _binding(name: str) -> Metric:
    return percent(name, f"{name} binding %", lambda of: of[name])


def _part(name: str, label: str) -> Metric:
    """Return the metric "all right" of the items of one kind."""
    return Metric(
        name,
        label,
        True,
        1,
        limits=PERCENT,
        items=lambda of: 100.0 * subset_mean_items(_all(of).astype(float), of["kind"] == KIND[name]),
        main=False,
    )


METRICS = (
    # Every attribute of every object, where the caption puts it.
    percent("joint", "all right %", _all, main=True),
    *(_binding(name) for name in ATTRIBUTES),
    percent("relation", "number and place right %", lambda of: of["relation"]),
    _part("one", "all right %, one object"),
    _part("two", "all right %, two objects"),
    _part("one_held_out", "all right %, one object of a held-out class"),
    _part("two_held_out", "all right %, two objects, one of a held-out class"),
    feature_distance("reader FD", lambda: stored_moments(REFERENCE)),
    confidence(lambda of: of["confidence"]),
    prompt_diversity("reader diversity", "features", "asked"),
    *PIXELS,
)


@dataclass(frozen=True)
class ShapesT2I(MeasuredBench):
    """Captions of one and two objects, of classes seen in training and held out.

    Item i has caption i mod 256 of s2g/worlds/shapes/prompts.py.
    """

    num: int = COUNT

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    @property
    def cycle(self) -> int:
        return COUNT

    def check(self, model: ModelConfig) -> None:
        if model.traits.load_vocabulary() is not STILLS or model.resolution != SIZE:
            allowed = ", ".join(model_names(lambda family: family.load_vocabulary() is STILLS))
            raise UserError(
                f"bench = shapes_t2i: {model.name} does not paint captions of the built-in world at {SIZE} pixels",
                allowed=f"models of such captions: {allowed}",
            )

    def items_id(self) -> Any:
        return {"captions": [caption(*row) for row in prompt_classes().tolist()]}

    def version(self) -> dict[str, Any]:
        return {"bench": "shapes_t2i", "version": 1, "reader": content_hash(READER), "reference": content_hash(REFERENCE)}

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.caption(item) for item in items]

    def caption(self, item: int) -> str:
        return caption(*prompt_classes()[item % COUNT].tolist())

    def unseen(self, indices: Sequence[int]) -> tuple[np.ndarray, list[str]]:
        """Return new scenes of the classes that were trained on: the held-out ones would ask for more than denoising."""
        at = np.array(indices)
        drawn = draw_classes(HELD_OUT_SEED, at)
        return render(drawn, HELD_OUT_SEED, at) * 2 - 1, drawn.captions()

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        with uninterrupted():
            from s2g.worlds.shapes.reader import read_two  # loads torch

        reading, number = read_two(values), np.array(items) % COUNT
        wanted = prompt_classes()[number]
        layout, two = reading.layout.numpy(), wanted[:, 1] >= 0
        certain = layout[np.arange(len(wanted)), wanted[:, 2] + 1]  # log probability of all that was asked for
        right = {}
        truths = [attributes_of(wanted[:, place].clip(0)) for place in range(2)]
        for name in ATTRIBUTES:
            logp = [objects[name].numpy() for objects in reading.objects]
            first, second = (found.argmax(-1) == truth[name] for found, truth in zip(logp, truths, strict=True))
            right[name] = np.where(two, (first.astype(float) + second) / 2, first)
            own, other = (found[np.arange(len(wanted)), truth[name]] for found, truth in zip(logp, truths, strict=True))
            certain = certain + own + np.where(two, other, 0.0)
        read = {"read_layout": layout.argmax(-1), "read": np.stack([_labels(objects) for objects in reading.objects], 1)}
        return {
            "asked": number,
            "kind": KIND_OF[number % len(KIND_OF)],
            "relation": layout.argmax(-1) == wanted[:, 2] + 1,
            **right,
            "confidence": np.exp(certain),
            "features": reading.features.numpy(),
            **read,
            **pixel_arrays(values),
        }

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        two = prompt_classes()[item % COUNT][1] >= 0
        right = {name: bool(arrays[name][item] >= 1) for name in ATTRIBUTES}
        right["number and place" if two else "number"] = bool(arrays["relation"][item])
        if all(right.values()):
            return right, ""
        layout, (first, second) = int(arrays["read_layout"][item]) - 1, arrays["read"][item]
        words = class_name(first) if layout < 0 else f"{class_name(first)} {RELATIONS[layout]} {class_name(second)}"
        return right, f"the reader reads: {words}"


def _labels(objects: dict[str, Any]) -> np.ndarray:
    """Return the classes that were read [B]."""
    return label_of(*(objects[name].numpy().argmax(-1) for name in ATTRIBUTES))

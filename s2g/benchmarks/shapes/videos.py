"""bench=shapes_t2v: videos of one moving object, read by the video reader and by their pixels. No number here is VBench's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2g.benchmarks.common_metrics import (
    PERCENT,
    SATURATION,
    confidence,
    feature_distance,
    percent,
    prompt_diversity,
    stored_moments,
)
from s2g.config.schema import BUILTIN, ModelConfig, model_names
from s2g.engine.bench import Arrays, MeasuredBench, Metric
from s2g.errors import UserError
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.metrics.pixels import saturation
from s2g.metrics.subset_mean import subset_mean_items
from s2g.metrics.video_motion import consistency, displacement, jitter, paths, steadiness
from s2g.worlds.shapes.motion import (
    ATTRIBUTES,
    FRAMES,
    SIDE,
    STILL,
    WHOLE,
    attributes_of,
    caption,
    draw_kinds,
    held_out,
    render,
)
from s2g.worlds.shapes.video_prompts import COUNT, prompt_kinds
from s2g.worlds.shapes.vocabulary import VIDEOS
from s2g.worlds.shapes.world import HELD_OUT_SEED

READER = BUILTIN / "video_reader.safetensors"  # read by s2g/worlds/shapes/video_reader.py
REFERENCE = BUILTIN / "moving.npz"
MOVES = WHOLE.way[0] / 2 * SIDE / 2  # pixels: half of the shortest way an object of the world goes


def _all(of: Arrays) -> np.ndarray:
    return np.logical_and.reduce([of[name] for name in ATTRIBUTES])


def _seen(of: Arrays) -> np.ndarray:
    return ~np.isnan(of["jitter"])


def _right(name: str) -> Metric:
    return percent(name, f"{name} right %", lambda of: of[name], main=True)


METRICS = (
    percent("joint", "all right %", _all, main=True),
    *(_right(name) for name in ("motion", "color", "shape")),
    Metric(
        "held_out",
        "all right %, held-out kinds",
        True,
        1,
        limits=PERCENT,
        items=lambda of: 100.0 * subset_mean_items(_all(of).astype(float), of["held_out"]),
        main=False,
    ),
    feature_distance("video reader FD", lambda: stored_moments(REFERENCE)),
    # By truth: whether it was to move is known, and where it is, is read off the pixels.
    percent("moves", "moves or stands as asked %", lambda of: of["moves_right"], main=True),
    # Of the videos that show the object in every frame; the others are counted.
    Metric("jitter", "path jitter, pixels", False, 3, items=lambda of: subset_mean_items(of["jitter"], _seen(of)), main=False),
    percent("unseen", "object unseen in a frame %", lambda of: ~_seen(of), None),
    Metric(
        "steadiness",
        "steadiness of standing ones %",
        True,
        2,
        limits=PERCENT,
        items=lambda of: subset_mean_items(100.0 * of["steadiness"], of["still"]),
        main=False,
    ),
    percent("consistency", "reader consistency %", lambda of: of["consistency"], digits=2),
    percent("moving", "moving %", lambda of: of["moving"], None),
    confidence(lambda of: of["confidence"]),
    prompt_diversity("reader diversity", "features", "asked"),
    SATURATION,
)


@dataclass(frozen=True)
class ShapesT2V(MeasuredBench):
    """Item i has kind i mod 180 of s2g/worlds/shapes/video_prompts.py: a sixth of them is held out of training."""

    num: int = COUNT

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    @property
    def cycle(self) -> int:
        return COUNT

    def check(self, model: ModelConfig) -> None:
        if model.traits.load_vocabulary() is not VIDEOS or (model.resolution, model.frames) != (SIDE, FRAMES):
            allowed = ", ".join(model_names(lambda family: family.load_vocabulary() is VIDEOS))
            raise UserError(
                f"bench = shapes_t2v: {model.name} makes no {FRAMES} frames of {SIDE} pixels of the built-in world",
                allowed=f"models of such captions: {allowed}",
            )

    def items_id(self) -> Any:
        return {"captions": [caption(kind) for kind in prompt_kinds().tolist()]}

    def version(self) -> dict[str, Any]:
        return {"bench": "shapes_t2v", "version": 2, "reader": content_hash(READER), "reference": content_hash(REFERENCE)}

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.caption(item) for item in items]

    def caption(self, item: int) -> str:
        return caption(int(prompt_kinds()[item % COUNT]))

    def unseen(self, indices: Sequence[int]) -> tuple[np.ndarray, list[str]]:
        """Return new videos of the kinds that were trained on."""
        at = np.array(indices)
        kinds = draw_kinds(HELD_OUT_SEED, at)
        return render(kinds, HELD_OUT_SEED, at) * 2 - 1, [caption(kind) for kind in kinds.tolist()]

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        with uninterrupted():
            from s2g.worlds.shapes.video_reader import read_videos  # loads torch

        reading, number = read_videos(values), np.array(items) % COUNT
        truth, path = attributes_of(prompt_kinds()[number]), paths(values)
        logp = {name: values.numpy() for name, values in reading.logp.items()}
        still, moving = truth["motion"] == STILL, displacement(path) > MOVES
        certain = sum(logp[name][np.arange(len(number)), truth[name]] for name in ATTRIBUTES)
        return {
            "asked": number,
            "held_out": np.isin(prompt_kinds()[number], held_out()),
            **{name: logp[name].argmax(-1) == truth[name] for name in ATTRIBUTES},
            "still": still,
            "moving": moving,
            "moves_right": moving != still,
            "jitter": jitter(path),
            "steadiness": steadiness(values),
            "consistency": consistency(reading.looks.numpy()),
            "confidence": np.exp(certain),
            "features": reading.features.numpy(),
            "read": reading.kinds(),
            "saturation": saturation(values.reshape(len(values), -1, SIDE, 3)),
        }

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        right = {name: bool(arrays[name][item]) for name in ATTRIBUTES}
        return right, "" if all(right.values()) else f"the reader reads: {caption(int(arrays['read'][item]))}"

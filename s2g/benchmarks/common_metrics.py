"""Metrics that several built-in benches have, each defined once; a bench names the features and the reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from s2g.engine.bench import Arrays, Metric
from s2g.metrics.diversity import within_prompt
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.pixels import clipped, contrast, saturation

PERCENT = (0.0, 100.0)
Items = Callable[[Arrays], np.ndarray]


def percent(name: str, label: str, shares: Items, higher: bool | None = True, *, digits: int = 1, main: bool = False) -> Metric:
    """Return the metric whose item values are 100 times shares in [0, 1]; truth values are shares too."""
    return Metric(name, label, higher, digits, items=lambda of: 100.0 * shares(of), bounds=PERCENT, main=main)


def feature_distance(label: str, reference: Callable[[], Moments], digits: int = 1) -> Metric:
    """Return the Fréchet distance of `features` from a reference; never FID, which is Inception's."""
    return Metric(
        "fd",
        label,
        False,
        digits,
        gather=lambda of: Moments.of(of["features"]),
        value=lambda moments: frechet_distance(moments, reference()),
    )


def prompt_diversity(label: str, features: str, prompt: str, main: bool = False) -> Metric:
    """Return the mean distance of two items of a prompt, by the names of the arrays of features and prompts."""
    return Metric("diversity", label, None, 2, value=lambda of: within_prompt(of[features], of[prompt]), main=main)


def confidence(probabilities: Items) -> Metric:
    """Return the probability of what was asked: smooth where "all right" is 0 or 1, so it tells apart runs of one image."""
    return percent("confidence", "probability of what was asked %", probabilities)


SATURATION = percent("saturation", "saturation %", lambda of: of["saturation"], None)
PIXELS = (
    Metric("contrast", "contrast", None, 3, items=lambda of: of["contrast"], main=False),
    SATURATION,
    percent("clipped", "clipped %", lambda of: of["clipped"], None, digits=2),
)


def pixel_arrays(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of PIXELS of uint8 images [B, H, W, 3]."""
    return {"contrast": contrast(images), "saturation": saturation(images), "clipped": clipped(images)}


@cache
def stored_moments(file: Path) -> Moments:
    """Return the moments that scripts/train_shapes.py exported to a file: mean, covariance and count."""
    with np.load(file) as stored:
        return Moments.stored(stored["mean"], stored["covariance"], stored["count"])

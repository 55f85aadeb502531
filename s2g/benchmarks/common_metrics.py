"""Metrics that several built-in benches have, each defined once; a bench names the features and the reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from s2g.engine.bench import NOT_NEGATIVE, Arrays, Metric
from s2g.metrics.diversity import within_prompt, within_prompt_items
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.frechet_influence import frechet_items
from s2g.metrics.manifold import Manifold, Reached, coverage_items, recall_items
from s2g.metrics.pixels import clipped, contrast, saturation

NEAREST = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}  # k of arXiv 1904.06991 and 2002.09797
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
        limits=NOT_NEGATIVE,
        gather=lambda of: Moments.of(of["features"]),
        value=lambda moments: frechet_distance(moments, reference()),
        influence=lambda of: frechet_items(lambda: [of["features"]], reference()),
    )


def prompt_diversity(label: str, features: str, prompt: str, main: bool = False) -> Metric:
    """Return the mean distance of two items of a prompt, by the names of the arrays of features and prompts."""
    return Metric(
        "diversity",
        label,
        None,
        2,
        limits=NOT_NEGATIVE,
        value=lambda of: within_prompt(of[features], of[prompt]),
        influence=lambda of: within_prompt_items(of[features], of[prompt]),
        main=main,
    )


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
    """Return the moments that scripts/train.py exported to a file: mean, covariance and count."""
    with np.load(file) as stored:
        return Moments.stored(stored["mean"], stored["covariance"], stored["count"])


@cache
def stored_manifold(file: Path, k: int) -> Manifold:
    """Return balls around the real features that were exported to a file, each reaching to the k-th nearest other one."""
    with np.load(file) as stored:
        return Manifold.of(stored["features"], k)


def manifold_metrics(kind: str, file: Path) -> tuple[Metric, ...]:
    """Return precision, recall, density and coverage of `features` against those of a file; kind: what the features are of."""

    def balls(of: Arrays, name: str) -> np.ndarray:
        return stored_manifold(file, NEAREST[name]).balls_of(of["features"])

    def reached(of: Arrays) -> Reached:
        features = of["features"]
        return Reached(len(features), stored_manifold(file, NEAREST["coverage"]).reached_by(features))

    def recall(of: Arrays) -> float:
        features, k = of["features"], NEAREST["recall"]
        if len(features) <= k:  # a run of a few items, looked at in passing, has no manifold of its own
            return float("nan")
        return 100.0 * float((Manifold.of(features, k).balls_of(stored_manifold(file, k).points) > 0).mean())

    def of_recall(of: Arrays) -> np.ndarray:
        k = NEAREST["recall"]
        return 100.0 * recall_items(stored_manifold(file, k).points, of["features"], k)

    def of_coverage(of: Arrays) -> np.ndarray:
        return 100.0 * coverage_items(stored_manifold(file, NEAREST["coverage"]), of["features"])

    return (
        percent("precision", f"{kind} precision %", lambda of: balls(of, "precision") > 0),
        Metric("recall", f"{kind} recall %", True, 1, value=recall, influence=of_recall, limits=PERCENT, main=False),
        # Of real items 1; less means outliers, more means that samples crowd where real items are dense.
        Metric("density", f"{kind} density", None, 2, items=lambda of: balls(of, "density") / NEAREST["density"], main=False),
        Metric(
            "coverage",
            f"{kind} coverage %",
            True,
            1,
            gather=reached,
            value=lambda of: 100.0 * float(of.balls.mean()),
            influence=of_coverage,
            limits=PERCENT,
            main=False,
        ),
    )

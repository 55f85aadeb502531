"""How many samples MIND needs beside a Fréchet distance, in the features of the built-in world's probe (64 numbers).

    python scripts/mind_samples.py

Two stand-ins for generators draw true scenes that vary too little: ranges of place, size and angle go 15 and 20 % of the way
to easier ones. Of 16,000 scenes each, disjoint groups of n are compared with 10,000 scenes of the full ranges; what a metric
tells apart is the gap between the two generators over the spread of a group. Seeded; a minute of one core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console

from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.sliced_wasserstein import sliced_items
from s2g.report.tables import markdown_table
from s2g.worlds.shapes.probe import look, shipped_probe
from s2g.worlds.shapes.render import render
from s2g.worlds.shapes.world import EASY, FULL, Ranges, scenes

SCENES, REFERENCE = 16_000, 10_000
SIZES = (125, 250, 500, 1000, 2000, 5000)
GROUPS = 8  # at most
ALONG = 250  # directions, a quarter of the metric's own: all groups share them, so they are not part of the spread
GENERATORS = (0.15, 0.20)
CHUNK = 500
SEED = 2605


def between(share: float) -> Ranges:
    """Return ranges this share of the way from the full to the easy ones."""

    def mixed(full: float, easy: float) -> float:
        return full + share * (easy - full)

    low, high = (mixed(*ends) for ends in zip(FULL.radius, EASY.radius, strict=True))
    return Ranges(center=mixed(FULL.center, EASY.center), radius=(low, high), angle=mixed(FULL.angle, EASY.angle))


def features(seed: int, count: int, ranges: Ranges) -> np.ndarray:
    """Return the probe's features [N, 64] of scenes as 8-bit images."""
    network, parts = shipped_probe(), []
    for start in range(0, count, CHUNK):
        drawn = render(scenes(seed, np.arange(start, start + CHUNK), ranges=ranges))
        images = np.clip(drawn * 255 + 0.5, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
        parts.append(look(network, images).features.numpy())
    return np.concatenate(parts)


def main() -> None:
    """Print one row a number of samples: mean and spread of both distances, and how well they tell the generators apart."""
    reference = features(SEED, REFERENCE, FULL)
    moments = Moments.of(reference)
    pools = [features(SEED + 1 + at, SCENES, between(share)) for at, share in enumerate(GENERATORS)]
    metrics = {
        "FD": lambda rows: frechet_distance(Moments.of(rows), moments),
        "MIND": lambda rows: float(sliced_items(rows, reference, ALONG).mean()),
    }
    rows: list[list[str]] = []
    for count in (*SIZES, SCENES):
        groups = min(GROUPS, SCENES // count)
        row = [f"{count:,}", str(groups)]
        for metric in metrics.values():
            found = np.array([[metric(pool[at * count :][:count]) for at in range(groups)] for pool in pools])
            gap = found[1].mean() - found[0].mean()
            spread = np.sqrt(found.var(1, ddof=1).mean()) if groups > 1 else float("nan")
            row += [*(f"{value:.3f}" for value in found.mean(1)), f"{spread:.3f}", f"{gap / spread:.1f}"]
        rows.append([value.replace("nan", "") for value in row])
    head = ["n", "groups", *(f"{name} {what}" for name in metrics for what in ("of A", "of B", "spread", "gap / spread"))]
    Console(soft_wrap=True).print(markdown_table(head, rows), markup=False)


if __name__ == "__main__":
    main()

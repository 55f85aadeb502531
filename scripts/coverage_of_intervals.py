"""How often 95 % intervals hold the truth: ours, over units, against a bootstrap of single items.

    python scripts/coverage_of_intervals.py

Simulated metrics whose truth is known, at 4, 16 and 64 units of 16 items. With shared masks a unit has a part of its
own, 30 % of the variance, that all its items see. Two Markdown tables: coverage, and what plain resampling does to a
Fréchet distance. Seeded; one core, about three minutes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # many small matrices: threads would only wait for each other

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from rich.console import Console
from scipy.stats import norm

from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.manifold import Manifold, Reached
from s2g.metrics.statistics import Estimate, jackknife_merged, of_mean
from s2g.report.tables import markdown_table

UNITS = (4, 16, 64)
ITEMS = 16  # of a unit
SHARED = 0.3  # of the variance, with shared masks
FEATURES = 16
Draw = Callable[[np.random.Generator, int, float], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A metric with its truth, our interval of it and the item-wise one."""

    name: str
    draw: Draw  # (rng, units, share) -> [units, ITEMS, ...]
    ours: Callable[[np.ndarray], Estimate]  # of what was drawn
    statistic: Callable[[np.ndarray], float]  # of items [N, ...], for the item-wise bootstrap
    truth: float | None  # None: the expectation at that number of items, by Monte Carlo
    replicates: int = 2000
    replicates_of_items: int = 2000
    resamples: int = 299


def latent(rng: np.random.Generator, units: int, share: float, *shape: int) -> np.ndarray:
    """Draw standard normals [units, ITEMS, *shape] of which a unit shares a part of variance `share`."""
    unit, item = rng.normal(size=(units, 1, *shape)), rng.normal(size=(units, ITEMS, *shape))
    return np.sqrt(share) * unit + np.sqrt(1 - share) * item


def accuracy(rate: float) -> Draw:
    """Return 100 where right, 0 where wrong, `rate` of all on average whatever is shared."""
    return lambda rng, units, share: 100.0 * (latent(rng, units, share) < norm.ppf(rate))


def paired_accuracies(rng: np.random.Generator, units: int, share: float) -> np.ndarray:
    """Draw 85 % against 80 % on the same items, half of each latent variable in common; masks belong to one method each."""
    common = rng.normal(size=(units, ITEMS))
    one, other = (np.sqrt(0.5) * common + np.sqrt(0.5) * latent(rng, units, share) for _ in range(2))
    return 100.0 * (one < norm.ppf(0.85)) - 100.0 * (other < norm.ppf(0.80))


def features(rng: np.random.Generator, units: int, share: float) -> np.ndarray:
    """Draw features [units, ITEMS, D] that differ from the reference's in mean and in spread."""
    return latent(rng, units, share, FEATURES) * np.linspace(1.3, 0.7, FEATURES) + 0.3


@cache
def reference() -> Moments:
    """Return a standard normal."""
    return Moments.stored(np.zeros(FEATURES), np.eye(FEATURES), 10_000)


def distance(moments: Moments) -> float:
    return frechet_distance(moments, reference())


@cache
def manifold() -> Manifold:
    """Return the manifold of 200 points of a standard normal in 4 dimensions."""
    return Manifold.of(np.random.default_rng(7).normal(size=(200, 4)), 5)


def reached(rng: np.random.Generator, units: int, share: float) -> np.ndarray:
    """Return which of the 200 balls each item of half the spread reaches, [units, ITEMS, 200]."""
    items, real = 0.5 * latent(rng, units, share, 4), manifold()
    squared = (items**2).sum(-1)[..., None] + (real.points**2).sum(-1) - 2 * items @ real.points.T
    return squared <= real.squared_radii


def unit_of(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(values)), ITEMS)


def mean_case(name: str, draw: Draw, truth: float, bounds: tuple[float, float] | None) -> Case:
    """Return a mean of items."""
    return Case(name, draw, lambda v: of_mean(v.ravel(), unit_of(v), bounds), lambda items: float(items.mean()), truth)


SET = dict(truth=None, replicates=1000, replicates_of_items=200, resamples=100)  # statistics that cost more
CASES = (
    mean_case("mean of normals", lambda *a: latent(*a), 0.0, None),
    mean_case("accuracy 80 %", accuracy(0.8), 80.0, (0, 100)),
    mean_case("accuracy 98 %", accuracy(0.98), 98.0, (0, 100)),
    mean_case("accuracy 85 % - 80 %, paired", paired_accuracies, 5.0, (-100, 100)),
    Case(
        "Fréchet distance",
        features,
        lambda v: jackknife_merged([Moments.of(part) for part in v], distance),
        lambda items: distance(Moments.of(items)),
        **SET,
    ),
    Case(
        "coverage of a manifold",
        reached,
        lambda v: jackknife_merged([Reached(ITEMS, part.any(0)) for part in v], lambda r: float(r.balls.mean())),
        lambda items: float(items.any(0).mean()),
        **SET,
    ),
)


def truth_of(case: Case, units: int, share: float, draws: int = 2000) -> float:
    """Return the metric's average over draws of that many items."""
    if case.truth is not None:
        return case.truth
    rng = np.random.default_rng([1, units])
    return float(np.mean([case.statistic(flat(case.draw(rng, units, share))) for _ in range(draws)]))


def flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *values.shape[2:])


def bootstrap_of_items(case: Case, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the statistic of items drawn with replacement, [resamples]."""
    items = flat(values)
    if case.truth is not None:  # a mean: all resamples at once
        return items[rng.integers(0, len(items), (case.resamples, len(items)), np.int32)].mean(1)
    return np.array([case.statistic(items[rng.integers(0, len(items), len(items))]) for _ in range(case.resamples)])


def coverage(case: Case, units: int, share: float, scale: float = 1.0) -> tuple[float, float]:
    """Return the percent of replicates (times `scale`) with the truth inside: our interval, and the item-wise bootstrap's."""
    truth = truth_of(case, units, share)
    rng, picks = np.random.default_rng([2, units]), np.random.default_rng([4, units])
    ours, items = [], []
    limit = scale * case.replicates_of_items
    for replicate in range(int(scale * case.replicates)):
        values = case.draw(rng, units, share)
        intervals = case.ours(values)
        ours.append(intervals.low is not None and intervals.high is not None and intervals.low <= truth <= intervals.high)
        if replicate < limit:
            low, high = np.quantile(bootstrap_of_items(case, values, picks), [0.025, 0.975])
            items.append(low <= truth <= high)
    return 100 * float(np.mean(ours)), 100 * float(np.mean(items))


def bias(units: int, share: float, draws: int = 100) -> tuple[float, float, float]:
    """Return the mean Fréchet distance: as drawn (what is reported), of resampled units, of resampled items."""
    case, rng = next(case for case in CASES if case.name == "Fréchet distance"), np.random.default_rng([3, units])
    found = []
    for _ in range(draws):
        values = case.draw(rng, units, share)
        by_unit = [case.statistic(flat(values[rng.integers(0, units, units)])) for _ in range(case.resamples)]
        found.append((case.statistic(flat(values)), np.mean(by_unit), bootstrap_of_items(case, values, rng).mean()))
    plain, of_units, of_items = np.mean(found, 0)
    return float(plain), float(of_units), float(of_items)


def main() -> None:
    """Print both tables."""
    console = Console(highlight=False)
    head = ["coverage of 95 % intervals, %", *(f"{n} units{s}" for s in ("", ", shared") for n in UNITS), "± by chance"]
    rows = []
    for case in CASES:
        found = [coverage(case, units, share) for share in (0.0, SHARED) for units in UNITS]
        for whose, values, count in zip(
            ("ours", "of items"), zip(*found, strict=True), (case.replicates, case.replicates_of_items), strict=True
        ):
            error = 196 * np.sqrt(0.95 * 0.05 / count)
            rows.append([f"{case.name}: {whose}", *(f"{value:.1f}" for value in values), f"{error:.1f}"])
    console.print(markdown_table(head, rows), soft_wrap=True)
    head = ["mean Fréchet distance", *(f"{n} units{s}" for s in ("", ", shared") for n in UNITS)]
    found = [bias(units, share) for share in (0.0, SHARED) for units in UNITS]
    names = ("as reported", "of resampled units", "of resampled items")
    rows = [[name, *(f"{v:.2f}" for v in values)] for name, values in zip(names, zip(*found, strict=True), strict=True)]
    console.print(markdown_table(head, rows), soft_wrap=True)


if __name__ == "__main__":
    main()

"""How often 95 % intervals hold the truth where classes take turns, and how wide they are: within classes, and over units.

    python scripts/coverage_within_classes.py            # or make coverage-of-intervals
    python scripts/coverage_within_classes.py fashion

108 classes in units of 16 items, as in bench=shapes, at 5, 10 and 20 items of each class; or 10 in units of 50, as in
bench=fashion, at 50, 100 and 200, which are 500, 1,000 and 2,000 images. Classes are alike, or their
features (their difficulty) differ by more than items of a class do. With shared masks a unit has a part of its own, 30 % of
the variance, that all its items see. A cell: the percent of sets whose interval holds the mean over sets, and in brackets the
mean half-width over 1.96 standard deviations of the value between sets (1 is exact). Seeded; one core, about four minutes.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # many small matrices: threads would only wait for each other

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from rich.console import Console
from scipy.stats import norm, t

from s2g.metrics.diversity import within_prompt_items
from s2g.metrics.frechet import Moments
from s2g.metrics.frechet_influence import frechet_items
from s2g.metrics.manifold import Manifold, coverage_items
from s2g.metrics.statistics import of_mean
from s2g.report.tables import markdown_table

DESIGNS = {"shapes": (108, 16, (5, 10, 20)), "fashion": (10, 50, (50, 100, 200))}
CLASSES, UNIT, CYCLES = DESIGNS["shapes"]
SHARED = 0.3  # of the variance, with shared masks
APART = 1.5  # standard deviations of an item: how far classes lie from each other
SHIFTS = (0.0, 0.15)  # of the two methods that are compared on the same noise
SCALES = (0.9, 0.8)
LENGTHS = np.linspace(1.3, 0.7, 16)  # of the features' axes


@dataclass(frozen=True)
class Case:
    """A statistic as numbers of items whose mean it is, of latent variables [N, D]."""

    name: str
    size: int  # D
    items: Callable[[np.ndarray, int, float], np.ndarray]  # of latents, method (0 or 1), how far classes lie apart
    bounds: tuple[float, float] | None = None


def class_of(count: int) -> np.ndarray:
    return np.arange(count) % CLASSES


@cache
def centres(size: int) -> np.ndarray:
    """Return what classes differ by, [CLASSES, size], about zero."""
    drawn = np.random.default_rng(5).normal(size=(CLASSES, size))
    return drawn - drawn.mean(0)


def features(latent: np.ndarray, method: int, apart: float) -> np.ndarray:
    """Return features of a method: moved and shrunk, classes with them."""
    return SCALES[method] * (latent + apart * centres(latent.shape[1])[class_of(len(latent))]) + SHIFTS[method]


def right(latent: np.ndarray, method: int, apart: float) -> np.ndarray:
    """Return 100 where an item is right: 85 % and 80 % of all, and of classes from a few to all."""
    bound = norm.ppf((0.85, 0.80)[method]) * np.sqrt(1 + apart**2)
    return 100.0 * (latent[:, 0] < bound + apart * centres(1)[class_of(len(latent)), 0])


def distance(latent: np.ndarray, method: int, apart: float) -> np.ndarray:
    own = features(latent, method, apart) * LENGTHS
    return frechet_items(lambda: [own], reference(apart))


@cache
def reference(apart: float) -> Moments:
    """Return the moments of features of classes that lie as far apart."""
    between = np.cov(apart * centres(len(LENGTHS)).T)
    return Moments.stored(np.zeros(len(LENGTHS)), np.eye(len(LENGTHS)) + between, 10_000)


@cache
def manifold(apart: float) -> Manifold:
    """Return the manifold of 1,000 points of all classes in 4 dimensions: small balls, or 20 items of a class reach all."""
    rng = np.random.default_rng(7)
    return Manifold.of(rng.normal(size=(1000, 4)) + apart * centres(4)[rng.integers(0, CLASSES, 1000)], 2)


def covered(latent: np.ndarray, method: int, apart: float) -> np.ndarray:
    return 100.0 * coverage_items(manifold(apart), features(0.5 * latent, method, apart))


def diversity(latent: np.ndarray, method: int, apart: float) -> np.ndarray:
    """Return the diversity of classes that spread by 0.5 to 2 times as much as others."""
    spread = np.exp(apart / 3 * centres(1)[class_of(len(latent))])
    return within_prompt_items(SCALES[method] * spread * latent, class_of(len(latent)))


CASES = (
    Case("accuracy", 1, right, (0, 100)),
    Case("Fréchet distance", len(LENGTHS), distance),
    Case("coverage of a manifold", 4, covered),
    Case("diversity", 7, diversity),
)


def latent(rng: np.random.Generator, count: int, size: int, share: float) -> np.ndarray:
    """Draw standard normals [count, size] of which a unit shares a part of variance `share`."""
    of_units = rng.normal(size=(-(-count // UNIT), size))[np.arange(count) // UNIT]
    return np.sqrt(share) * of_units + np.sqrt(1 - share) * rng.normal(size=(count, size))


def drawn(case: Case, rng: np.random.Generator, cycles: int, share: float, apart: float, paired: bool) -> np.ndarray:
    """Return what items of a set add to the statistic, or to the difference of two methods that share half of the noise."""
    count = cycles * CLASSES
    if not paired:
        return case.items(latent(rng, count, case.size, share), 0, apart)
    common = latent(rng, count, case.size, 0)
    of = [np.sqrt(0.5) * (common + latent(rng, count, case.size, share)) for _ in range(2)]
    return case.items(of[0], 0, apart) - case.items(of[1], 1, apart)


def over_units(items: np.ndarray, unit_of: np.ndarray) -> tuple[float, float]:
    """Return the ends of the t interval over plain units: what is not within classes."""
    sums, sizes = np.bincount(unit_of, items - items.mean()), np.bincount(unit_of)
    error = np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / sizes.sum()
    low, high = t.interval(0.95, len(sums) - 1, items.mean(), error)
    return float(low), float(high)


def coverage(
    case: Case, cycles: int, share: float, apart: float, paired: bool, sets: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return coverage in percent and relative half-width: within classes, and over plain units."""
    rng = np.random.default_rng([1, cycles, paired])
    unit_of = np.arange(cycles * CLASSES) // UNIT
    bounds = case.bounds and (case.bounds if not paired else (case.bounds[0] - case.bounds[1], case.bounds[1] - case.bounds[0]))
    found = []
    for _ in range(sets):
        items = drawn(case, rng, cycles, share, apart, paired)
        within = of_mean(items, unit_of, bounds, CLASSES)
        found.append((within.value, within.low, within.high, *over_units(items, unit_of)))
    value, *ends = np.array(found, np.float64).T
    truth, reach = value.mean(), 1.96 * value.std(ddof=1)
    said = []
    for low, high in (ends[:2], ends[2:]):
        said.append((100 * float(((low <= truth) & (truth <= high)).mean()), float((high - low).mean() / 2 / reach)))
    return said[0], said[1]


def main(design: str = "shapes", sets: int = 400) -> None:
    """Print the table of a design."""
    global CLASSES, UNIT, CYCLES
    CLASSES, UNIT, CYCLES = DESIGNS[design]
    columns = [(share, cycles) for share in (0.0, SHARED) for cycles in CYCLES]
    head = ["coverage of 95 % intervals, % (width)", *(f"{n} of a class{', shared' * bool(s)}" for s, n in columns)]
    rows = []
    for case, apart, paired in product(CASES, (0.0, APART), (False, True)):
        if not apart and case.name != "Fréchet distance":  # as in coverage_of_intervals.py
            continue
        found = [coverage(case, cycles, share, apart, paired, sets) for share, cycles in columns]
        name = f"{case.name}{', paired' * paired}, classes {'apart' if apart else 'alike'}"
        for whose, of in zip(("within classes", "over units"), zip(*found, strict=True), strict=True):
            rows.append([f"{name}: {whose}", *(f"{percent:.1f} ({width:.2f})" for percent, width in of)])
    console = Console(highlight=False)
    console.print(markdown_table(head, rows), soft_wrap=True)
    console.print(f"± {196 * np.sqrt(0.95 * 0.05 / sets):.1f} by chance, {sets} sets each")


if __name__ == "__main__":
    main(*sys.argv[1:2])

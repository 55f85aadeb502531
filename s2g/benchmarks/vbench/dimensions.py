"""VBench's sixteen dimensions, and how their raw values become Quality, Semantic and Total. Numbers in, numbers out.

    term = weight (raw - low) / (high - low),  Quality = sum of seven terms / 6.5,  Semantic = sum of nine / 9,
    Total = (4 Quality + Semantic) / 5

Raw values are fractions, and nothing is clipped. Source: Vchitect/VBench, scripts/constant.py and cal_final_score.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from s2g.errors import UserError, unknown
from s2g.metrics.subset_mean import subset_mean_items

QUALITY, SEMANTIC = "Quality", "Semantic"
GROUP_WEIGHTS = {QUALITY: 4.0, SEMANTIC: 1.0}  # of the total


@dataclass(frozen=True)
class Dimension:
    """One of the sixteen: its group, the raw values that count as 0 and 1, its weight in the group, how tables call it."""

    name: str
    group: str
    low: float
    high: float
    weight: float
    label: str
    cosine: bool = False  # a raw value may be below 0

    def normalised(self, raw: float) -> float:
        """Map a raw value linearly from [low, high] to [0, 1], without clipping."""
        return (raw - self.low) / (self.high - self.low)


DIMENSIONS: dict[str, Dimension] = {
    one.name: one
    for one in (
        Dimension("subject_consistency", QUALITY, 0.1462, 1.0, 1.0, "Subject consist."),
        Dimension("background_consistency", QUALITY, 0.2615, 1.0, 1.0, "Background consist."),
        Dimension("temporal_flickering", QUALITY, 0.6293, 1.0, 1.0, "Temporal flicker."),
        Dimension("motion_smoothness", QUALITY, 0.706, 0.9975, 1.0, "Motion smooth."),
        Dimension("dynamic_degree", QUALITY, 0.0, 1.0, 0.5, "Dynamic degree"),
        Dimension("aesthetic_quality", QUALITY, 0.0, 1.0, 1.0, "Aesthetic"),
        Dimension("imaging_quality", QUALITY, 0.0, 1.0, 1.0, "Imaging"),
        Dimension("object_class", SEMANTIC, 0.0, 1.0, 1.0, "Object class"),
        Dimension("multiple_objects", SEMANTIC, 0.0, 1.0, 1.0, "Multiple objects"),
        Dimension("human_action", SEMANTIC, 0.0, 1.0, 1.0, "Human action"),
        Dimension("color", SEMANTIC, 0.0, 1.0, 1.0, "Color"),
        Dimension("spatial_relationship", SEMANTIC, 0.0, 1.0, 1.0, "Spatial relation."),
        Dimension("scene", SEMANTIC, 0.0, 0.8222, 1.0, "Scene"),
        Dimension("appearance_style", SEMANTIC, 0.0009, 0.2855, 1.0, "Appear. style", True),
        Dimension("temporal_style", SEMANTIC, 0.0, 0.364, 1.0, "Temporal style", True),
        Dimension("overall_consistency", SEMANTIC, 0.0, 0.364, 1.0, "Overall consist.", True),
    )
}


@dataclass(frozen=True)
class Term:
    """A dimension's part of the total."""

    dimension: Dimension
    raw: float  # a fraction
    normalised: float
    points: float  # what it adds to the total, as a fraction


@dataclass(frozen=True)
class Totals:
    """Quality, Semantic and Total as fractions, the terms they are made of, and the dimensions that lack."""

    total: float
    quality: float
    semantic: float
    terms: tuple[Term, ...]
    missing: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Return whether dimensions are missing, so that it is no VBench total."""
        return bool(self.missing)


def plain(name: str) -> str:
    """Return a dimension's name without blanks and capitals; UserError with the nearest if there is none."""
    found = "_".join(name.strip().lower().replace("-", " ").replace("_", " ").split())
    if found not in DIMENSIONS:
        raise unknown("dimension", name, DIMENSIONS)
    return found


def shares(there: Iterable[str]) -> dict[str, float]:
    """Return the weights of normalised dimensions in the total, 0.8 and 0.2 by group, over those that are there.

    A group that lacks altogether has no shares.
    """
    there, found = set(there), {}
    for group, of in GROUP_WEIGHTS.items():
        members = [one for one in DIMENSIONS.values() if one.group == group and one.name in there]
        whole = sum(one.weight for one in members)
        for one in members:
            found[one.name] = of / sum(GROUP_WEIGHTS.values()) * one.weight / whole
    return found


def totals(raw: Mapping[str, float], allow_missing: bool = False) -> Totals:
    """Compute Quality, Semantic and Total from raw fractions; UserError naming missing dimensions, unless that is allowed.

    The official script takes what lacks for 0 and says nothing. Here, where it is allowed, weights are those of the
    dimensions that are there, and a group without any is nan.
    """
    raw = {plain(name): value for name, value in raw.items()}
    missing = tuple(name for name in DIMENSIONS if name not in raw or math.isnan(raw[name]))
    if len(missing) == len(DIMENSIONS):
        raise UserError("no value of any dimension: there is no total", allowed=", ".join(DIMENSIONS), todo="score the videos")
    if missing and not allow_missing:
        raise UserError(
            f"{len(missing)} of {len(DIMENSIONS)} dimensions are missing: {', '.join(missing)}",
            allowed="all sixteen: the official script would count these as 0 without a word",
            todo="score them too; or --allow-missing makes a partial total of the others, labelled",
        )
    part = shares(name for name in DIMENSIONS if name not in missing)
    normalised = {name: DIMENSIONS[name].normalised(raw[name]) for name in part}
    terms = tuple(Term(DIMENSIONS[name], raw[name], normalised[name], part[name] * normalised[name]) for name in part)
    quality, semantic = (_group(terms, group) for group in GROUP_WEIGHTS)
    total = (GROUP_WEIGHTS[QUALITY] * quality + GROUP_WEIGHTS[SEMANTIC] * semantic) / sum(GROUP_WEIGHTS.values())
    return Totals(total, quality, semantic, terms, missing)


def _group(terms: Iterable[Term], group: str) -> float:
    of = [term for term in terms if term.dimension.group == group]
    weights = sum(term.dimension.weight for term in of)
    return sum(term.dimension.weight * term.normalised for term in of) / weights if of else math.nan


def raw_items(of: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return [N] numbers whose mean is a dimension's raw value in percent, over the videos that have one."""
    return 100.0 * subset_mean_items(of[name], np.ones(len(of[name]), bool))


def total_items(of: Mapping[str, np.ndarray], groups: Sequence[str], partial: bool) -> np.ndarray:
    """Return [N] numbers whose mean is the total of the groups (one group: its score) in percent, nan while a dimension lacks.

    A sum of means is a mean of sums, so totals have intervals and paired differences as any mean has. partial: of the
    dimensions that are there instead, with their weights.
    """
    there = [name for name in DIMENSIONS if not np.isnan(of[name]).all()]
    wanted = [name for name, one in DIMENSIONS.items() if one.group in groups]
    found = np.zeros(len(of[wanted[0]]))
    if not (set(wanted) <= set(there) or (partial and {DIMENSIONS[name].group for name in there} >= set(groups))):
        return found * np.nan
    part = {name: share for name, share in shares(there).items() if name in wanted}
    for name, share in part.items():
        one, mean = DIMENSIONS[name], raw_items(of, name) / 100.0
        found += share / sum(part.values()) * (mean - one.low) / (one.high - one.low)
    return 100.0 * found

"""Two methods' totals and dimensions, paired: prompts drawn again, the same ones for both.

Prompts are drawn within groups of equal dimensions, so that every dimension keeps its number of prompts; a dimension's
mean is over the videos of the drawn prompts, each method's own where the package leaves some out. `unpaired` lists videos
that only one has, `paired` removes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from s2g.benchmarks.vbench.coverage import LISTED, SOME
from s2g.benchmarks.vbench.dimensions import DIMENSIONS, GROUP_WEIGHTS, shares
from s2g.benchmarks.vbench.prompts import name_of
from s2g.benchmarks.vbench.results import Scored
from s2g.metrics.statistics import LEVEL, RESAMPLES

TOTAL = "total"
CHUNK = 500  # resamples at a time
Results = Mapping[str, Scored]


@dataclass(frozen=True)
class Difference:
    """Of one dimension, or of quality, semantic or total: both values and b - a, in percent, with its 95 % interval."""

    name: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    prompts: int  # that it rests on: those of which both have a video


@dataclass(frozen=True)
class _Sums:
    """[P, D] sums of values, and how many, by prompt and dimension."""

    sums: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(scored: Results, prompts: Sequence[str], names: Sequence[str]) -> _Sums:
        place = {prompt: at for at, prompt in enumerate(prompts)}
        sums, counts = np.zeros((len(prompts), len(names))), np.zeros((len(prompts), len(names)))
        for column, name in enumerate(names):
            for (prompt, _), value in scored[name].videos.items():
                sums[place[prompt], column] += value
                counts[place[prompt], column] += 1
        return _Sums(sums, counts)

    def points(self, times: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return [R, D + 3] percent: every dimension raw, then quality, semantic, total, with prompts taken `times` [R, P]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            raw = (times @ self.sums) / (times @ self.counts)
        part = shares(names)
        weight = np.array([part[name] for name in names])
        low, high = (np.array([getattr(DIMENSIONS[name], end) for name in names]) for end in ("low", "high"))
        normalised = (raw - low) / (high - low)
        ends = []
        for group in GROUP_WEIGHTS:
            member = np.array([DIMENSIONS[name].group == group for name in names])
            of = weight * member
            ends.append(normalised @ of / of.sum() if of.any() else np.full(len(raw), np.nan))
        total = sum(of * end for of, end in zip(GROUP_WEIGHTS.values(), ends, strict=True)) / sum(GROUP_WEIGHTS.values())
        return 100 * np.column_stack([raw, *ends, total])


def compare(a: Results, b: Results, seed: int = 0, resamples: int = RESAMPLES) -> list[Difference]:
    """Return b - a for every dimension that both have, quality, semantic and total; the latter three of these dimensions alone.

    [] where there is none. The same seed gives the same interval on any version of numpy: picks are made of PCG64's raw words.
    """
    names = _both(a, b)
    if not names:
        return []
    by_prompt: dict[str, list[str]] = {}
    for name in names:
        for prompt, _ in (*a[name].videos, *b[name].videos):
            if name not in (known := by_prompt.setdefault(prompt, [])):
                known.append(name)
    prompts = sorted(by_prompt)
    strata: dict[tuple[str, ...], list[int]] = {}
    for at, prompt in enumerate(prompts):
        strata.setdefault(tuple(by_prompt[prompt]), []).append(at)
    of_a, of_b = _Sums.of(a, prompts, names), _Sums.of(b, prompts, names)
    once = np.ones((1, len(prompts)))
    at_a, at_b = of_a.points(once, names)[0], of_b.points(once, names)[0]
    words, drawn = np.random.PCG64(seed), []
    for start in range(0, resamples, CHUNK):
        times = _times(words, list(strata.values()), len(prompts), min(CHUNK, resamples - start))
        drawn.append(of_b.points(times, names) - of_a.points(times, names))
    tail = (1 - LEVEL) / 2
    found = np.concatenate(drawn)
    there = ~np.isnan(found).all(0)  # a group of which no dimension is there has no difference
    low, high = np.full((2, found.shape[1]), np.nan)
    low[there], high[there] = np.nanquantile(found[:, there], [tail, 1 - tail], axis=0)
    shared = (of_a.counts > 0) & (of_b.counts > 0)
    rests = [int(column.sum()) for column in shared.T]
    every = [*names, *(group.lower() for group in GROUP_WEIGHTS), TOTAL]
    grouped = [
        int(shared[:, [DIMENSIONS[name].group in groups for name in names]].any(1).sum())
        for groups in (*((group,) for group in GROUP_WEIGHTS), tuple(GROUP_WEIGHTS))
    ]
    return [
        Difference(name, float(x), float(y), float(y - x), float(below), float(above), count)
        for name, x, y, below, above, count in zip(every, at_a, at_b, low, high, [*rests, *grouped], strict=True)
    ]


def _times(words: np.random.PCG64, strata: Sequence[Sequence[int]], prompts: int, rows: int) -> np.ndarray:
    """Draw how often each prompt is taken [rows, prompts]; of every stratum as many as it has."""
    times = np.zeros((rows, prompts))
    for members in strata:
        size = len(members)
        picks = (words.random_raw(rows * size) >> np.uint64(32)) * np.uint64(size) >> np.uint64(32)
        at = np.asarray(members)[picks.astype(np.int64)].reshape(rows, size)
        np.add.at(times, (np.arange(rows)[:, None], at), 1)
    return times


def unpaired(a: Results, b: Results) -> list[str]:
    """List videos that only one has, a line a dimension; where videos are left out by rule, only if no prompt is in common."""
    found = []
    for name in _both(a, b):
        mine, theirs = a[name].videos, b[name].videos
        if name in SOME:
            if not {prompt for prompt, _ in mine} & {prompt for prompt, _ in theirs}:
                found.append(f"{name}: no prompt in common")
            continue
        for who, more in (("A", mine.keys() - theirs.keys()), ("B", theirs.keys() - mine.keys())):
            if more:
                listed = ", ".join(name_of(*whose) for whose in sorted(more)[:LISTED])
                rest = f" and {len(more) - LISTED} more" if len(more) > LISTED else ""
                found.append(f"{name}: {who} alone has {len(more)} videos: {listed}{rest}")
    return found


def paired(a: Results, b: Results) -> tuple[dict[str, Scored], dict[str, Scored]]:
    """Keep the videos that both have; where videos are left out by rule, each its own. A dimension without any is dropped."""
    ours, theirs = dict[str, Scored](), dict[str, Scored]()
    for name in _both(a, b):
        one, other = a[name], b[name]
        if name not in SOME:  # there, which videos it is of is each method's own
            common = one.videos.keys() & other.videos.keys()
            one, other = (
                replace(of, videos={whose: value for whose, value in of.videos.items() if whose in common})
                for of in (one, other)
            )
        if one.videos and other.videos:
            ours[name], theirs[name] = one, other
    return ours, theirs


def _both(a: Results, b: Results) -> list[str]:
    return [name for name in DIMENSIONS if name in a and name in b and a[name].videos and b[name].videos]

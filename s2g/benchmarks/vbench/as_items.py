"""VBench's numbers as means over items, so that they have intervals and paired differences as any mean has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from s2g.benchmarks.vbench.dimensions import DIMENSIONS, shares
from s2g.metrics.subset_mean import subset_mean_items

Arrays = Mapping[str, np.ndarray]  # by dimension [N] fractions, nan where an item has none


def raw_items(of: Arrays, name: str) -> np.ndarray:
    """[N] numbers whose mean is a dimension's raw value in percent, over the videos that have one."""
    return 100.0 * subset_mean_items(of[name], np.ones(len(of[name]), bool))


def total_items(of: Arrays, groups: Sequence[str], partial: bool) -> np.ndarray:
    """[N] numbers whose mean is the total of the groups (one group: its score) in percent, nan while a dimension lacks.

    A sum of means is a mean of sums. partial: of the dimensions that are there instead, with their weights.
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

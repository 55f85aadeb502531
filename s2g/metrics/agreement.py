"""Krippendorff's alpha of nominal values (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability")."""

from __future__ import annotations

import numpy as np


def nominal_alpha(values: np.ndarray) -> float | None:
    """Return alpha of values [raters, units], NaN where a rater gave none: 1 for agreement, 0 for what chance would give.

    None where it is not defined: no unit has two values, or all values are equal, so that there is nothing to disagree about.
    """
    kinds = np.unique(values[~np.isnan(values)])
    counts = np.stack([(values == kind).sum(0) for kind in kinds], 1) if len(kinds) else np.zeros((values.shape[1], 0))
    counts = counts[counts.sum(1) >= 2].astype(np.float64)  # [units, kinds]; a single value pairs with nothing
    sizes, totals = counts.sum(1), counts.sum(0)
    total = totals.sum()
    # Pairs of one unit that differ, against pairs of any two values that differ.
    observed = ((sizes**2 - (counts**2).sum(1)) / np.maximum(sizes - 1, 1)).sum()
    expected = (total**2 - (totals**2).sum()) / max(total - 1, 1)
    return None if expected == 0 else float(1 - observed / expected)

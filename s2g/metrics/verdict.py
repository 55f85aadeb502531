"""What a difference between two methods says, once it is said beforehand which difference would matter."""

from __future__ import annotations

import math
from enum import StrEnum

from s2g.metrics.statistics import Estimate


class Verdict(StrEnum):
    """Of a method against the one it is compared with; its value is the word that tables and JSON show."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


def verdict(difference: Estimate, margin: float, higher: bool) -> Verdict:
    """Better, worse, equivalent within `margin`, or inconclusive, from the difference's 95 % interval.

    - equivalent: the whole interval lies between -margin and margin (two one-sided tests, Schuirmann 1987, here at
      2.5 % each, since the interval is the 95 % one that tables show). Comes first: a difference that is real but
      smaller than what matters is equivalent.
    - better or worse: the interval leaves out 0 (two-sided test at 5 %). It says the sign, not that the difference
      exceeds the margin.
    - inconclusive: anything else, and always where there is no interval.

    difference: method minus the other; margin: in the metric's own unit, chosen before looking; higher: whether more
    is better. ValueError for a margin that is not positive and finite.
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin {margin}: a positive number, the least difference that would matter")
    low, high = difference.low, difference.high
    if low is None or high is None:
        return Verdict.INCONCLUSIVE
    if -margin < low and high < margin:
        return Verdict.EQUIVALENT
    if low > 0 or high < 0:
        return Verdict.BETTER if (low > 0) == higher else Verdict.WORSE
    return Verdict.INCONCLUSIVE

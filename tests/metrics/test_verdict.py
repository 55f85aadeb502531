"""Verdicts: every place an interval can lie relative to zero and the margin."""

from __future__ import annotations

import json

import pytest

from s2g.metrics.statistics import Estimate
from s2g.metrics.verdict import Verdict, verdict


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (0.1, 3.0, Verdict.BETTER),
        (-3.0, -0.1, Verdict.WORSE),
        (1.5, 3.0, Verdict.BETTER),
        (-0.9, 0.9, Verdict.EQUIVALENT),
        (0.1, 0.9, Verdict.EQUIVALENT),  # real, and smaller than what matters
        (-0.9, -0.1, Verdict.EQUIVALENT),
        (0.0, 0.0, Verdict.EQUIVALENT),
        (-0.5, 1.0, Verdict.INCONCLUSIVE),  # the margin itself is not within the margin
        (-2.0, 0.5, Verdict.INCONCLUSIVE),
        (0.0, 2.0, Verdict.INCONCLUSIVE),
        (None, None, Verdict.INCONCLUSIVE),
        (float("nan"), float("nan"), Verdict.INCONCLUSIVE),
    ],
)
def test_where_the_interval_lies_decides(low: float | None, high: float | None, want: Verdict) -> None:
    difference = Estimate(0.0 if low is None or high is None else (low + high) / 2, low, high, 16)
    assert verdict(difference, 1.0, higher=True) is want
    mirrored = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    assert verdict(difference, 1.0, higher=False) is mirrored.get(want, want)


@pytest.mark.parametrize("margin", [0.0, -1.0, float("inf"), float("nan")])
def test_a_margin_is_positive_and_finite(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        verdict(Estimate(0.0, -1.0, 1.0, 16), margin, higher=True)


def test_a_verdict_is_its_word_in_tables_and_json() -> None:
    assert f"{Verdict.BETTER}" == "better" and json.dumps([Verdict.EQUIVALENT]) == '["equivalent"]'

"""Agreement, pairwise strengths and crossed intervals against published and hand-computed numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit

from s2g.metrics.agreement import nominal_alpha
from s2g.metrics.bradley_terry import bradley_terry
from s2g.metrics.crossed import crossed_bootstrap

NONE = math.nan


def test_alpha_of_krippendorff_s_own_examples() -> None:
    # Krippendorff 2011, section B: two observers, ten units, binary; section C: four observers, twelve units, gaps.
    binary = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], float)
    assert nominal_alpha(binary) == pytest.approx(0.095, abs=5e-4)
    gaps = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
            [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
        ]
    )
    assert nominal_alpha(gaps) == pytest.approx(0.743, abs=5e-4)


def test_alpha_by_hand() -> None:
    # Two units: (0, 0) and (0, 1). Observed 2 / 1 of 4 values; expected 2 * 3 * 1 / 3: alpha 0.
    assert nominal_alpha(np.array([[0.0, 0.0], [0.0, 1.0]])) == pytest.approx(0)
    assert nominal_alpha(np.array([[0.0, 1.0], [0.0, 1.0]])) == 1
    assert nominal_alpha(np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(-0.5)  # 1 - 4 / (2*2*2/3)
    assert nominal_alpha(np.ones((3, 4))) is None and nominal_alpha(np.full((2, 3), NONE)) is None
    assert nominal_alpha(np.array([[1.0, NONE], [NONE, 2.0]])) is None


def test_strengths_of_two_are_the_log_odds() -> None:
    found = bradley_terry(np.array([[9.0, 30.0], [10.0, 9.0]]))
    assert found == pytest.approx([math.log(3) / 2, -math.log(3) / 2], abs=1e-9)


def test_strengths_are_recovered_from_expected_wins() -> None:
    truth = np.array([1.2, 0.3, 0.0, -0.4, -1.1])
    games = np.array([[0, 7, 3, 0, 5], [7, 0, 9, 2, 0], [3, 9, 0, 4, 8], [0, 2, 4, 0, 6], [5, 0, 8, 6, 0]], float)
    wins = games / (1 + np.exp(truth[None, :] - truth[:, None]))
    assert bradley_terry(wins) == pytest.approx(truth, abs=1e-9)
    assert bradley_terry(np.stack([wins, wins.T, 3 * wins])) == pytest.approx(np.stack([truth, -truth, truth]), abs=1e-9)


def test_strengths_of_extreme_wins_converge() -> None:
    wins = np.array([[0, 1e6, 1e6], [1, 0, 1e6], [1, 1, 0]])
    found = bradley_terry(wins)
    chance = 1 / (1 + np.exp(found[None, :] - found[:, None]))
    for i in range(3):  # what is most likely expects exactly the wins that were seen (Ford 1957)
        assert sum((wins[i, j] + wins[j, i]) * chance[i, j] for j in range(3) if j != i) == pytest.approx(
            wins[i].sum(), rel=1e-6
        )


def test_strengths_are_not_defined_where_a_group_never_lost() -> None:
    assert np.isnan(bradley_terry(np.array([[0.0, 3.0], [0.0, 0.0]]))).all()
    both = bradley_terry(np.array([[[0, 1, 5], [1, 0, 5], [0, 0, 0]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]]], float))
    assert np.isnan(both[0]).all() and both[1] == pytest.approx(np.zeros(3), abs=1e-9)


def share(totals: np.ndarray) -> np.ndarray:
    """Of the two totals, the share of the first."""
    return totals[..., :1] / totals.sum(-1, keepdims=True)


def test_an_interval_is_the_percentile_of_all_resamples_of_rows_and_columns() -> None:
    votes = np.random.default_rng(3).integers(0, 5, (4, 4, 2)).astype(float) + np.array([0.5, 0.25])
    (found,) = crossed_bootstrap(votes, share, 100_000)
    draws = np.array([np.bincount(pick, minlength=4) for pick in itertools.product(range(4), repeat=4)], float)
    exact = np.sort(share(np.einsum("ar,rck,bc->abk", draws, votes, draws)).ravel())  # all 256 * 256
    tail = ndtr(-math.sqrt(4 / 3) * stdtrit(3, 0.975))
    low, high = np.quantile(exact, [tail, 1 - tail])
    assert found.value == pytest.approx(votes[..., 0].sum() / votes.sum())
    assert found.low == pytest.approx(low, abs=0.004) and found.high == pytest.approx(high, abs=0.004)
    assert found.low < found.value < found.high and found.units == 4


def test_what_cannot_vary_has_no_interval() -> None:
    even = np.ones((5, 6, 2))
    (found,) = crossed_bootstrap(even, share)
    assert found.value == 0.5 and found.low is None and "no spread" in found.method
    (few,) = crossed_bootstrap(np.random.default_rng(0).random((3, 9, 2)), share)
    assert few.low is None and "fewer than 4" in few.method
    rare = np.zeros((8, 8, 2))
    rare[0, 0] = 1
    (undefined,) = crossed_bootstrap(
        rare,
        lambda t: np.divide(
            t[..., :1], t.sum(-1, keepdims=True), where=t.sum(-1, keepdims=True) > 0, out=np.full_like(t[..., :1], np.nan)
        ),
    )
    assert undefined.value == 0.5 and undefined.low is None and "not defined" in undefined.method


def test_intervals_cover_the_truth() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        taste = rng.normal(0, 0.6, (14, 1)) + rng.normal(0, 0.8, (1, 20))
        first = rng.random((14, 20)) < 1 / (1 + np.exp(-taste))
        (found,) = crossed_bootstrap(np.stack([first, ~first], -1).astype(float), share, 500)
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.5 <= found.high
    assert 0.93 <= hits / 400 <= 0.995

"""Normalisation, weights and totals against numbers that were worked out by hand, and the paper's rows."""

from __future__ import annotations

import math

import pytest

from s2g.benchmarks.vbench.dimensions import DIMENSIONS, plain, totals
from s2g.errors import UserError

# Raw values that count as 0, 0.5 and 1, and what the dimension alone adds to the total in percent: 80 weight / 6.5, 20 / 9.
HAND = {
    "subject_consistency": (0.1462, 0.5731, 1.0, 12.307692),
    "background_consistency": (0.2615, 0.63075, 1.0, 12.307692),
    "temporal_flickering": (0.6293, 0.81465, 1.0, 12.307692),
    "motion_smoothness": (0.706, 0.85175, 0.9975, 12.307692),
    "dynamic_degree": (0.0, 0.5, 1.0, 6.153846),
    "aesthetic_quality": (0.0, 0.5, 1.0, 12.307692),
    "imaging_quality": (0.0, 0.5, 1.0, 12.307692),
    "object_class": (0.0, 0.5, 1.0, 2.222222),
    "multiple_objects": (0.0, 0.5, 1.0, 2.222222),
    "human_action": (0.0, 0.5, 1.0, 2.222222),
    "color": (0.0, 0.5, 1.0, 2.222222),
    "spatial_relationship": (0.0, 0.5, 1.0, 2.222222),
    "scene": (0.0, 0.4111, 0.8222, 2.222222),
    "appearance_style": (0.0009, 0.1432, 0.2855, 2.222222),
    "temporal_style": (0.0, 0.182, 0.364, 2.222222),
    "overall_consistency": (0.0, 0.182, 0.364, 2.222222),
}
LOWEST = {name: hand[0] for name, hand in HAND.items()}


@pytest.mark.parametrize("name", HAND)
def test_every_constant_against_a_case_by_hand(name: str) -> None:
    low, half, high, points = HAND[name]
    for raw, share in ((low, 0.0), (half, 0.5), (high, 1.0)):
        found = totals({**LOWEST, name: raw})
        assert 100 * found.total == pytest.approx(share * points, abs=1e-5)
        ours, other = (found.quality, found.semantic) if points > 3 else (found.semantic, found.quality)
        assert ours == pytest.approx(share * points / (80 if points > 3 else 20), abs=1e-7) and other == pytest.approx(0)
        (term,) = [term for term in found.terms if term.dimension.name == name]
        assert (term.normalised, 100 * term.points) == pytest.approx((share, share * points), abs=1e-5)


def test_all_at_half_are_fifty_and_nothing_is_clipped() -> None:
    found = totals({name: hand[1] for name, hand in HAND.items()})
    assert (found.total, found.quality, found.semantic) == pytest.approx((0.5, 0.5, 0.5))
    assert totals({**LOWEST, "motion_smoothness": 1.0}).quality * 6.5 == pytest.approx(0.294 / 0.2915)
    assert totals({**LOWEST, "appearance_style": -0.1}).semantic < 0


def test_a_row_worked_out_on_paper() -> None:
    raw = dict(
        zip(DIMENSIONS, (0.96, 0.95, 0.99, 0.98, 0.6, 0.6, 0.66, 0.77, 0.6, 0.8, 0.85, 0.7, 0.3, 0.2, 0.24, 0.25), strict=True)
    )
    # 0.953151 + 0.932295 + 0.973024 + 0.939966 + 0.3 + 0.6 + 0.66 = 5.358436, / 6.5
    # 0.77 + 0.6 + 0.8 + 0.85 + 0.7 + 0.364875 + 0.699578 + 0.659341 + 0.686813 = 6.130607, / 9
    found = totals(raw)
    assert (found.quality, found.semantic) == pytest.approx((0.824375, 0.681179), abs=2e-6)
    assert found.total == pytest.approx((4 * 0.824375 + 0.681179) / 5, abs=2e-6)


def test_what_lacks_is_refused_by_name_and_a_partial_total_has_the_weights_of_the_rest() -> None:
    raw = {name: hand[1] for name, hand in HAND.items() if name not in ("scene", "color")}
    with pytest.raises(UserError, match=r"2 of 16 dimensions are missing: color, scene(.|\n)*--allow-missing"):
        totals(raw)
    found = totals(raw, allow_missing=True)
    assert found.partial and found.missing == ("color", "scene") and found.total == pytest.approx(0.5)
    found = totals({"dynamic_degree": 1.0, "imaging_quality": 0.25, "scene": math.nan}, allow_missing=True)
    assert found.quality == pytest.approx((0.5 * 1 + 0.25) / 1.5) and math.isnan(found.semantic) and math.isnan(found.total)


def test_of_no_dimension_there_is_no_partial_total() -> None:
    for nothing in ({}, {"scene": math.nan}):
        with pytest.raises(UserError, match="no value of any dimension"):
            totals(nothing, allow_missing=True)


def test_names_with_blanks_are_the_same_and_renamed_ones_are_refused() -> None:
    assert plain("Subject Consistency") == plain("subject_consistency") == plain("subject-consistency") == "subject_consistency"
    with pytest.raises(UserError, match="Did you mean 'spatial_relationship'"):
        totals({"spatial_relation": 0.5})

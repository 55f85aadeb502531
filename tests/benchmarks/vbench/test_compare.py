"""Paired differences over prompts: what is known of them, and that they are the same every time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from vbench_fake import official_results

from s2g.benchmarks.vbench.compare import Difference, compare
from s2g.benchmarks.vbench.dimensions import totals
from s2g.benchmarks.vbench.results import Scored, parse


def by_name(found: list[Difference]) -> Mapping[str, Difference]:
    return {one.name: one for one in found}


def one_dimension(values: np.ndarray, name: str = "object_class") -> dict[str, Scored]:
    """[P, S] values of prompts and samples."""
    videos = {(f"p{p}", s): float(value) for (p, s), value in np.ndenumerate(values)}
    return {name: Scored(name, float(values.mean()), videos)}


def test_a_constant_shift_is_certain_and_adds_up() -> None:
    still = ("dynamic_degree", "human_action")
    a, b = (parse(official_results(shift), "file") for shift in (0.0, 0.02))
    b |= {name: a[name] for name in still}
    found = by_name(compare(a, b))
    for name in ("scene", "imaging_quality"):
        assert (found[name].difference, found[name].low, found[name].high) == pytest.approx((2.0, 2.0, 2.0))
    assert found["dynamic_degree"].difference == 0
    before, after = (totals({name: one.value for name, one in of.items()}) for of in (a, b))
    total = found["total"]
    assert (total.a, total.b) == pytest.approx((100 * before.total, 100 * after.total))
    assert total.low == pytest.approx(total.difference) == pytest.approx(total.high)
    assert found["quality"].b == pytest.approx(100 * after.quality) and found["semantic"].a == pytest.approx(
        100 * before.semantic
    )
    assert found["total"].prompts == 12 and found["quality"].prompts == 6


def test_pairing_takes_out_what_prompts_have_in_common() -> None:
    draw = np.random.default_rng(1)
    hard = draw.uniform(0.2, 0.8, (80, 1))
    noise = draw.normal(0, 0.02, (2, 80, 5))
    a, b = (one_dimension(hard + of) for of in (noise[0], noise[1] + 0.01))
    one = by_name(compare(a, b))["object_class"]
    means = 100 * (noise[1] + 0.01 - noise[0]).mean(1)
    reach = 1.96 * means.std(ddof=1) / math.sqrt(80)
    assert one.difference == pytest.approx(means.mean())
    assert (one.low, one.high) == pytest.approx((means.mean() - reach, means.mean() + reach), abs=0.15 * reach)


def test_the_seed_decides_and_nothing_else() -> None:
    draw = np.random.default_rng(0)
    a, b = (
        {name: one_dimension(draw.uniform(0, 1, (9, 5)), name)[name] for name in ("scene", "color", "imaging_quality")}
        for _ in range(2)
    )
    first = compare(a, b, seed=3, resamples=700)
    assert first == compare(a, b, seed=3, resamples=700) != compare(a, b, seed=4, resamples=700)
    assert first[0].low < first[0].difference < first[0].high
    swapped = by_name(compare(b, a, seed=3, resamples=700))["total"]
    total = by_name(first)["total"]
    assert (swapped.low, swapped.high) == pytest.approx((-total.high, -total.low))


def test_videos_that_one_method_lacks_and_dimensions_that_one_lacks() -> None:
    values = np.array([[0.2, 0.4], [0.6, 0.8]])
    a, b = one_dimension(values, "color"), one_dimension(values, "color")
    b["color"] = Scored("color", 0.4, {whose: value for whose, value in b["color"].videos.items() if whose != ("p1", 1)})
    one = by_name(compare({**a, "scene": Scored("scene", 0.3, {})}, b))
    assert (one["color"].a, one["color"].b) == pytest.approx((50.0, 40.0)) and "scene" not in one
    assert math.isnan(one["total"].difference) and math.isnan(one["quality"].low)  # there is no dimension of quality
    assert one["semantic"].difference == pytest.approx(-10.0)


def test_prompts_that_one_alone_has_are_not_counted() -> None:
    a, b = one_dimension(np.full((4, 2), 0.5), "color"), one_dimension(np.full((3, 2), 0.5), "color")
    one = by_name(compare(a, b))
    assert one["color"].prompts == one["semantic"].prompts == one["total"].prompts == 3

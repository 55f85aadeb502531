"""A table that scores the same items in two ways plans to sample them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from s2g.config.schema import CHECKOUT
from s2g.experiments import planning
from s2g.experiments.composition import composed, composing
from s2g.experiments.planning import Planned
from s2g.experiments.specification import Wanted, wanted
from s2g.experiments.specification_file import find_exhibit


def test_items_that_are_scored_in_two_ways_are_sampled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(want: Wanted, raw: Mapping[str, Any], root: str) -> Planned:
        return Planned(want, "missing", "", raw["num"], 10.0, 20.0, {"H20": 3.0}, 4.0, None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "_planned", counted)
    exhibit = find_exhibit(CHECKOUT / "experiments", "table1")
    plans = planning.plan(exhibit, exhibit.profile("paper"), 7, "runs")
    by_bench: dict[str, list[Planned]] = {}
    for one in plans:
        by_bench.setdefault(one.want.bench, []).append(one)
    assert {bench: len(found) for bench, found in by_bench.items()} == {
        **dict.fromkeys(("hps", "hps_qalign", "compbench_before", "compbench_before_qalign"), 12)
    }
    for bench in ("hps", "compbench_before"):
        assert {(one.items, one.hours["H20"]) for one in by_bench[bench]} == {(7, 3.0)}
        assert {(one.items, one.state, one.hours["H20"]) for one in by_bench[f"{bench}_qalign"]} == {(0, "same items", 0.0)}


def test_table_1_takes_the_list_of_colours_that_the_paper_had() -> None:
    exhibit = find_exhibit(CHECKOUT / "experiments", "table1")
    with composing():
        lists = {want.bench: composed(want)["bench"].get("prompts") for want in wanted(exhibit.profile("paper"))}
    assert lists["compbench_before"] == lists["compbench_before_qalign"] == "before"

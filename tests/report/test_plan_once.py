"""A table that scores the same items in two ways plans to sample them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from s2g.config import CHECKOUT
from s2g.report import planning
from s2g.report.exhibit import Wanted
from s2g.report.exhibit_file import find_exhibit
from s2g.report.planning import Planned


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
        **dict.fromkeys(("hps", "hps_qalign", "compbench", "compbench_qalign"), 12)
    }
    for bench in ("hps", "compbench"):
        assert {(one.items, one.hours["H20"]) for one in by_bench[bench]} == {(7, 3.0)}
        assert {(one.items, one.state, one.hours["H20"]) for one in by_bench[f"{bench}_qalign"]} == {(0, "same items", 0.0)}

"""A table that scores the same items in two ways plans to sample them once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from s2g.config.schema import CHECKOUT
from s2g.experiments import planning
from s2g.experiments.composition import compose_row
from s2g.experiments.planning import Planned
from s2g.experiments.specification import RunSpec, run_specs
from s2g.experiments.specification_file import find_experiment


@pytest.mark.slow("samples a table")
def test_items_that_are_scored_in_two_ways_are_sampled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(spec: RunSpec, raw: Mapping[str, Any], root: str) -> Planned:
        return Planned(spec, "missing", "", raw["num"], 10.0, 20.0, {"H20": 3.0}, 4.0, None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "plan_run", counted)
    experiment = find_experiment(CHECKOUT / "experiments", "table1")
    plans = planning.plan(experiment.profile("paper"), 7, "runs")
    by_bench: dict[str, list[Planned]] = {}
    for one in plans:
        by_bench.setdefault(one.spec.bench, []).append(one)
    assert {bench: len(found) for bench, found in by_bench.items()} == {
        **dict.fromkeys(("hps", "hps_qalign", "compbench_before", "compbench_before_qalign"), 22)
    }  # two models: six methods, and CFG at the strength of five of them
    for bench in ("hps", "compbench_before"):
        assert {(one.items, one.hours["H20"]) for one in by_bench[bench]} == {(7, 3.0)}
        assert {(one.items, one.state, one.hours["H20"]) for one in by_bench[f"{bench}_qalign"]} == {(0, "same items", 0.0)}
    assert len(planning.distinct(plans)) == len(plans) == 88  # CFG at another row's strength is no run of CFG at its own


def test_a_row_at_another_rows_strength_is_planned_after_it(tmp_path: Path) -> None:
    profile = find_experiment(CHECKOUT / "experiments", "table5").profile("tiny")
    cfg, s2, equal = planning.plan(profile, 16, str(tmp_path / "runs"))
    assert (cfg.state, s2.state, equal.state) == ("missing", "missing", "after s2")
    assert cfg.key and s2.key and not equal.key
    assert (equal.items, equal.evaluations) == (cfg.items, cfg.evaluations) == (16, 16 * 56)
    assert len(planning.distinct([cfg, s2, equal])) == 3


def test_table_1_takes_the_list_of_colours_that_the_paper_had() -> None:
    experiment = find_experiment(CHECKOUT / "experiments", "table1")
    lists = {spec.bench: compose_row(spec)["bench"].get("prompts") for spec in run_specs(experiment.profile("paper"))}
    assert lists["compbench_before"] == lists["compbench_before_qalign"] == "before"

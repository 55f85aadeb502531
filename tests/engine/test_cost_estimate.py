"""What a plan counts before there are weights, against runs that were made and against counts by other code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from s2g.config.compose import compose_config
from s2g.config.schema import CHECKOUT
from s2g.engine import cost_estimate
from s2g.engine.alive import Small
from s2g.engine.cost import PassCost, full_pass
from s2g.engine.cost_estimate import _count, expected_cost
from s2g.engine.resolve import Outline, outline
from s2g.engine.worker import cost_of
from s2g.models.sit import SiTDenoiser


def run_of(*overrides: str) -> Outline:
    return outline(compose_config(*overrides))


@pytest.mark.slow("full-size meta model")
def test_table_5_of_the_paper_by_its_true_flops() -> None:
    # SD3-medium, 28 steps: 56 passes of 8.904 TFLOP; S2 in 23 steps, the third pass without 2 blocks of 24, reused.
    cfg, s2 = (run_of("model=sd3", "bench=hps", f"guidance={name}") for name in ("cfg", "s2"))
    cost = full_pass(cfg.model)
    first, second = expected_cost(cfg, cost), expected_cost(s2, cost)
    assert (first.evaluations, second.evaluations) == (56, 79)
    assert first.flops / 1e12 == pytest.approx(498.6, abs=0.1)
    assert second.flops / first.flops == pytest.approx(1.24, abs=0.02)  # 1.245 with the last block protected too


@pytest.mark.slow("full-size meta model")
def test_what_a_window_a_zero_init_and_a_second_network_leave_to_be_evaluated() -> None:
    cost = full_pass(run_of("model=wan_14b", "bench=vbench").model)
    wan = ("model=wan_14b", "bench=vbench")
    assert expected_cost(run_of(*wan, "guidance=s2"), cost).evaluations == 50 * 2 + 40
    assert expected_cost(run_of(*wan, "guidance=cfg_zero"), cost).evaluations == 48 * 2
    tiny = run_of("guidance=autoguidance")
    found = expected_cost(tiny, full_pass(tiny.model))
    assert (found.evaluations, found.weak) == (28, 28)


COMMITTED = json.loads((CHECKOUT / "experiments" / "results" / "methods-tiny.json").read_text())


@pytest.mark.parametrize("row", ["none", "cfg", "cfg_zero", "s2", "slg", "stg", "seg", "pag"])
def test_the_estimate_for_the_built_in_model_is_what_its_runs_took(row: str) -> None:
    took = next(one for one in COMMITTED["rows"] if one["row"] == row)
    run = run_of(f"guidance={row}")
    plan = full_pass(run.model)
    assert cost_of(SiTDenoiser.meta_model(run.model)) == plan
    found = expected_cost(run, plan)
    assert found.evaluations == took["evaluations"]
    assert found.flops == pytest.approx(took["flops_per_item"], rel=0.02 if row == "s2" else 1e-5)  # masks are drawn


def test_nag_over_s2_is_counted_with_what_its_sub_networks_leave_out() -> None:
    s2 = ("guidance.base=s2", "guidance.base_args={drop_blocks: 1, drop_ratio: null}")
    run = run_of(*Small("sd3").model, "sampler=euler", "sampler.steps=6", "guidance=nag", *s2)
    counted = _count(run, reuse=True)
    # Six steps of cond (twice) and uncond, five with a sub-network (twice); each of its passes lacks one of four blocks.
    assert counted.account.evaluations == counted.units * (6 * 3 + 5 * 2)
    assert sum(counted.account.blocks.values()) == counted.units * (6 * 3 * 4 + 5 * 2 * 3)


def test_models_whose_stand_in_is_the_same_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: dict[str, Any] = {}
    monkeypatch.setattr(cost_estimate, "_COUNTED", counted)
    cost = PassCost(1, (1,) * 24)
    found = [expected_cost(run_of(f"model={model}", "bench=hps", "guidance=cfg"), cost) for model in ("sd3", "sd35")]
    assert len(counted) == 1
    other = run_of("model=sd35", "bench=compbench", "guidance=cfg")
    assert expected_cost(other, PassCost(2, (2,) * 24)).flops == 2 * found[1].flops
    assert len(counted) == 1
    expected_cost(run_of("model=sd35", "bench=hps", "guidance=cfg", "mask_seed=7"), cost)
    assert len(counted) == 2

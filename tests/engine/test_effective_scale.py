"""The effective guidance scale, from the loop to the record to what a user reads."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from s2g.cli.run import main
from s2g.guidance.effective_scale import EffectiveScale
from s2g.scoring.score import effective_of


def recorded(tmp_path: Path, *typed: str) -> dict[str, Any]:
    """effective_scale of the one unit of a run of 4 steps."""
    assert main([*typed, "sampler.steps=4", "num=16", "executor.workers=1", f"runs={tmp_path}"]) == 0
    newest = max(tmp_path.glob("*/units/000000.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(newest.read_text())["effective_scale"]


def test_cfgs_is_its_scale_and_what_has_no_uncond_is_left_out_and_counted(tmp_path: Path, capfd: Any) -> None:
    facts = recorded(tmp_path, "guidance=cfg", "guidance.scale=2.5")
    assert facts["mean"] == pytest.approx(2.5, abs=1e-4) and (facts["evaluations"], facts["left_out"]) == (4, 0)
    assert "effective guidance scale: 2.50 (over 4 of 4 evaluations)" in capfd.readouterr().out
    facts = recorded(tmp_path, "guidance=cfg", "guidance.scale=2.5", "guidance.window=[0.25,0.75]")
    assert facts["mean"] == pytest.approx(2.5, abs=1e-4) and facts["left_out"] == 2
    assert [value is None for value in facts["by_evaluation"]] == [True, False, False, True]
    assert "(over 2 of 4 evaluations, the others have no unconditional prediction)" in capfd.readouterr().out
    assert recorded(tmp_path, "guidance=none")["mean"] is None
    assert "effective guidance scale: none" in capfd.readouterr().out
    facts = recorded(tmp_path, "guidance=cfg_zero", "guidance.zero_init=1")
    assert facts["left_out"] == 1 and facts["by_evaluation"][0] is None


def test_a_method_that_guides_some_channels_is_measured_on_those(tmp_path: Path) -> None:
    facts = recorded(tmp_path, "guidance=cfg", "guidance.scale=2.5", "guidance.channels=1")
    assert facts["mean"] == pytest.approx(2.5, abs=1e-4)


def test_heuns_two_evaluations_count_as_two_and_cfgpp_shows_its_weight_of_each_step(tmp_path: Path) -> None:
    assert recorded(tmp_path, "guidance=cfg", "guidance.scale=3", "sampler=heun")["evaluations"] == 8
    facts = recorded(tmp_path, "guidance=cfgpp", "guidance.lam=0.5")
    levels = [1, 0.75, 0.5, 0.25, 0]
    want = [0.5 * s * (1 - after) / (s - after) for s, after in pairwise(levels)]
    assert facts["by_evaluation"] == pytest.approx(want, abs=1e-4) and facts["mean"] == pytest.approx(sum(want) / 4, abs=1e-4)


def test_s2_adds_the_part_of_its_term_that_lies_along_cfg(tmp_path: Path) -> None:
    always = ("guidance=s2", "guidance.scale=2", "guidance.window=[0,1]", "guidance.drop_blocks=3")
    weak, strong = (recorded(tmp_path, *always, f"guidance.omega={omega}")["by_evaluation"][0] for omega in (0.5, 1.0))
    assert weak != pytest.approx(2.0, abs=1e-3) and strong - 2 == pytest.approx(
        2 * (weak - 2), rel=1e-3
    )  # same noise, same mask


def test_parts_of_a_unit_merge_and_equal_predictions_are_left_out_of_the_mean() -> None:
    nan = torch.nan
    whole, first, second = EffectiveScale(), EffectiveScale(), EffectiveScale()
    for values in ([1.0, nan, 4.0], [2.0, 2.0, 5.0]):
        whole.add(torch.tensor(values))
        first.add(torch.tensor(values[:2]))
        second.add(torch.tensor(values[2:]))
    for part in (whole, first, second):
        part.add(None)
    merged = EffectiveScale()
    merged.merge(first)
    merged.merge(second)
    assert merged == whole
    assert whole.facts() == {"mean": 2.8, "evaluations": 3, "left_out": 1, "by_evaluation": [2.5, 3.0, None]}


def test_a_record_from_before_there_was_one_says_so() -> None:
    found = effective_of([{"seconds": 1.0}])
    assert found.scale is None and found.evaluations == 0

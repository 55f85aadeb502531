"""plan=true: every effective knob with its source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s2g.cli.run import main
from s2g.config.knob import Knob
from s2g.engine.resolve import outline
from s2g.report.show_plan import knob_lines


@pytest.fixture
def planned(composed: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, str]]:
    """planned("guidance=cfg"): source by "key = value" of each knob."""

    def make(*typed: str) -> dict[str, str]:
        raw, trace = composed(*typed), list[Knob]()
        name = outline(raw, trace).model.name
        lines = [line.strip() for line in knob_lines(raw, name, trace)]
        return {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in lines}

    return make


def test_a_knob_is_a_default_a_preset_or_typed(planned: Callable[..., dict[str, str]]) -> None:
    knobs = planned("guidance.drop_ratio=0.2", "guidance.base_args={rescale: 0.5}", "sampler.steps=10")
    assert (
        knobs["guidance.drop_blocks = 2"] == knobs["guidance.base_args.rescale = 0.5"] == knobs["sampler.steps = 10"] == "typed"
    )
    assert knobs["guidance.scale = 1.5"].startswith("tiny_sit's presets.s2 (All ours: the lowest probe FD")
    assert knobs["guidance.omega = 0.5"] == "tiny_sit's presets.s2"
    assert knobs["guidance.protect = [0]"] == "default (dropping the first block harms (paper Fig. 7c, 7d))"
    assert knobs["sampler.shift = 1.0"] == "default"


def test_the_base_has_its_own_preset_and_the_comment_above_it_is_read(planned: Callable[..., dict[str, str]]) -> None:
    knobs = planned("model=sd35", "bench=prompts", "guidance=slg", "guidance.base=apg")
    assert knobs["guidance.scale = 7.5"].startswith("sd35's presets.apg (paper B.4's scale;")
    assert knobs['guidance.base_args.form = "diffusers"'] == "sd35's presets.apg"
    assert knobs["guidance.layers = [7, 8, 9]"].endswith("presets.slg") and knobs['guidance.base = "apg"'] == "typed"
    assert any(value.startswith("sd35's presets.slg (SLG: Stability-AI/sd3.5's") for value in knobs.values())
    assert knobs["sampler.steps = 28"].startswith("sd35's sampler (diffusers' pipeline and scheduler")


def test_values_of_a_samplers_file_are_not_typed(planned: Callable[..., dict[str, str]]) -> None:
    knobs = planned("sampler=sit_ode_heun", "guidance=cfg", "model.presets.cfg.scale=9")
    assert knobs["sampler.steps = 125"] == "configs/sampler/sit_ode_heun.yaml"
    assert knobs["guidance.scale = 9.0"] == "typed: model.presets.cfg"


def test_a_plan_prints_them_and_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan=true", f"runs={tmp_path}"]) == 0
    assert "\n  guidance.channels = null " in capfd.readouterr().out and not list(tmp_path.iterdir())

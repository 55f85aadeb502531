"""executor.compile and executor.attention: recorded with a run, and fixed once it has begun."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s2g.cli.run import main

TYPED = ["guidance=s2", "num=16", "sampler.steps=2", "executor.workers=1"]


def test_they_are_recorded_and_other_ones_are_refused(tmp_path: Path, capfd: Any) -> None:
    assert main([*TYPED, "executor.attention=math", f"runs={tmp_path}"]) == 0
    (folder,) = tmp_path.iterdir()
    about = json.loads((folder / "run.json").read_text())
    assert about["fixed"] == {"reuse": True, "attention": "math"}
    (made,) = json.loads((folder / "env.json").read_text()).values()
    assert made["attention"] == "math" and "compile" not in made
    capfd.readouterr()
    assert main([*TYPED, f"runs={tmp_path}"]) == 2
    assert "executor.attention = auto: run" in (told := capfd.readouterr().err) and "was started with math" in told
    assert main([*TYPED, "executor.attention=math", "executor.compile=blocks", f"runs={tmp_path}"]) == 2
    assert "executor.compile = blocks: run" in capfd.readouterr().err


def test_what_the_device_does_not_have_is_refused_before_the_run_is_begun(tmp_path: Path, capfd: Any) -> None:
    for value, reason in (("attention=cudnn", "not on a CPU"), ("compile=graphs", "CUDA graphs need an NVIDIA GPU")):
        assert main([*TYPED, f"executor.{value}", "executor.device=cpu", f"runs={tmp_path}"]) == 2
        assert reason in capfd.readouterr().err and not list(tmp_path.iterdir())

"""A method of one's own: the example in docs/add-a-method.md, as it stands there, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from s2g.config.compose import compose_config
from s2g.config.plugins import add_method
from s2g.config.registry import GUIDANCE, Entry
from s2g.config.schema import CHECKOUT
from s2g.errors import UserError
from s2g.guidance.base import BaseMethod

TEXT = (CHECKOUT / "docs" / "add-a-method.md").read_text()


def fading(tmp_path: Path, *arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]  # type: ignore[index]
    (tmp_path / "fading.py").write_text(code or example)
    command = [sys.executable, "fading.py", *arguments, "sampler.steps=2", "num=16", f"runs={tmp_path}/runs"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_the_example_is_a_method_in_under_40_lines() -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]  # type: ignore[index]
    assert len(code.splitlines()) < 40


@pytest.mark.slow("starts processes")
def test_the_example_runs_with_workers_and_is_swept_beside_the_others(tmp_path: Path) -> None:
    done = fading(tmp_path, "-m", "guidance=cfg,fading", "guidance.scale=1.5,3")
    assert (done.returncode, done.stderr) == (0, "")
    table = done.stdout.partition("Δ")[0]  # differences to the first job follow
    rows = [line.split() for line in table.splitlines() if line.split()[:1] in (["cfg"], ["fading"])]
    scales = {(row[0], row[1]): float(row[-2].partition("±")[0]) for row in rows}
    # Two steps, at level 1 (the whole scale) and 1/2 (half of what is above 1).
    assert scales["cfg", "3"] == pytest.approx(3.0, abs=0.01) and scales["fading", "3"] == pytest.approx(2.5, abs=0.01)
    assert scales["fading", "1.5"] == pytest.approx(1.375, abs=0.01)


@pytest.mark.slow("starts processes")
def test_the_example_can_be_the_base_of_s2_and_is_checked(tmp_path: Path) -> None:
    done = fading(
        tmp_path, "guidance=s2", "guidance.base=fading", "guidance.omega=0.5", "guidance.scale=2", "executor.workers=1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    wrong = fading(tmp_path, "guidance=fading", "guidance.scale=0.5")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: guidance.scale = 0.5") and "1 or more" in wrong.stderr
    typo = fading(tmp_path, "guidance=fading", "guidance.scael=3")
    assert typo.returncode == 2 and "Did you mean 'scale'?" in typo.stderr


@pytest.mark.slow("starts processes")
def test_edited_code_is_another_run_and_the_console_says_which_file_changed(tmp_path: Path) -> None:
    first = fading(tmp_path, "guidance=fading")
    assert "16 items made now" in first.stdout and "changed since" not in first.stdout
    again = fading(tmp_path, "guidance=fading")
    assert "0 items made now" in again.stdout
    edited = (tmp_path / "fading.py").read_text().replace("(scale - 1) * level", "(scale - 1) * level**2")
    other = fading(tmp_path, "guidance=fading", code=edited)
    (key,) = re.findall(r"runs/(\S+)", first.stdout)
    assert f"fading.py changed since run {key}: this is another run" in other.stdout
    assert "16 items made now" in other.stdout and key not in other.stdout.splitlines()[-1]
    assert "0 items made now" in fading(tmp_path, "guidance=fading").stdout  # the first code again is the first run again


def test_a_name_that_is_taken_and_a_class_that_is_no_frozen_dataclass_are_refused() -> None:
    class Plain(BaseMethod):
        pass

    @dataclass
    class Mutable(BaseMethod):
        scale: float = 1.0

    with pytest.raises(UserError, match="a method cfg exists already"):
        add_method("cfg", Plain)
    for cls in (Plain, Mutable):
        with pytest.raises(UserError, match="not a frozen dataclass"):
            add_method("mine", cls)


def test_a_line_in_the_registry_is_enough_for_a_method_in_the_tree(own_methods: None) -> None:
    GUIDANCE.entries["cfg_again"] = Entry("s2g.guidance.cfg:CFG", "the same under another name")
    config = compose_config("guidance=cfg_again", "guidance.scale=3")
    assert config["guidance"] == {**compose_config("guidance=cfg")["guidance"], "name": "cfg_again", "scale": 3}

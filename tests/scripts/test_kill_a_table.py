"""The short version of scripts/kill_a_table.py: a small table that was killed twice is the undisturbed one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import kill_a_table
import pytest

TABLE = """
title: A table
source: nowhere
columns: {}
against: cfg
rows:
  cfg: {label: CFG, set: {guidance: cfg}}
  s2: {label: S², set: {guidance: s2}}
profiles:
  tiny:
    set: {num: 48, sampler.steps: 6}
    groups: {tiny_sit: {label: tiny, set: {model: tiny_sit}}}
    columns: {joint: {bench: shapes, metric: joint}}
"""
MAKE = """
import sys
from pathlib import Path
from rich.console import Console
from s2g.cli.commands.table import TableMaker
place = Path(sys.argv[1])
TableMaker(place.parent, place / "out", str(place / "runs"), None, 1).make("table9", "tiny", Console(quiet=True))
"""


def start(settings: kill_a_table.Settings, place: Path) -> subprocess.Popen[bytes]:
    """The table of this test, where the script's own would take minutes."""
    command = [sys.executable, "-c", MAKE, str(place)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.slow("many processes")
def test_a_table_that_was_killed_is_the_undisturbed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table9.yaml").write_text(TABLE)
    monkeypatch.setattr(kill_a_table, "start", start)
    settings = kill_a_table.Settings(table="table9", kills=2)
    seconds = kill_a_table.finish(settings, tmp_path / "straight")
    killed = kill_a_table.disturbed(settings, tmp_path / "killed", seconds)
    straight, other = (tmp_path / name / "out" for name in ("straight", "killed"))
    assert sum(killed.values()) == 2 and kill_a_table.differing(straight, other) == []

    result = other / "table9-tiny.json"
    content = json.loads(result.read_text())
    content["made"]["date"], content["rows"][0]["seconds"] = "another day", 12.0
    result.write_text(json.dumps(content))
    assert kill_a_table.differing(straight, other) == []
    content["rows"][1]["cells"]["joint"]["value"] += 1e-4
    result.write_text(json.dumps(content))
    (other / ".table9-tiny.csv.17.tmp").touch()
    assert kill_a_table.differing(straight, other) == [".table9-tiny.csv.17.tmp", "table9-tiny.json"]

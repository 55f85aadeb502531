"""The short version of scripts/kill_a_table.py: a table that was killed twice is the undisturbed one."""

from __future__ import annotations

import json
from pathlib import Path

import kill_a_table


def test_a_table_that_was_killed_is_the_undisturbed_one(tmp_path: Path) -> None:
    settings = kill_a_table.Settings(table="table5", kills=2, num=16)
    seconds = kill_a_table.finish(settings, tmp_path / "straight")
    killed = kill_a_table.disturbed(settings, tmp_path / "killed", seconds)
    straight, other = (tmp_path / name / "out" for name in ("straight", "killed"))
    assert sum(killed.values()) == 2 and kill_a_table.differing(straight, other) == []

    result = other / "table5-tiny.json"
    before = result.read_text()
    content = json.loads(before)
    content["made"]["date"], content["rows"][0]["seconds"] = "another day", 12.0
    result.write_text(json.dumps(content))
    assert kill_a_table.differing(straight, other) == []
    content["rows"][1]["cells"]["joint"]["value"] += 1e-4
    result.write_text(json.dumps(content))
    (other / ".table5-tiny.csv.17.tmp").touch()
    assert kill_a_table.differing(straight, other) == [".table5-tiny.csv.17.tmp", "table5-tiny.json"]

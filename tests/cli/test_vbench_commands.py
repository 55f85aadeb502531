"""vbench-totals and vbench-compare on files, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vbench_fake import few, official_results  # noqa: F401  # a fixture

from s2g.benchmarks.vbench import prompts
from s2g.cli.main import app
from s2g.errors import UserError

SIX = ("subject_consistency", "background_consistency", "aesthetic_quality", "imaging_quality", "object_class")


def write(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content))
    return file


def call(*typed: object) -> None:
    app([str(one) for one in typed], standalone_mode=False)


def test_totals_show_every_term(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    raw = {name: [0.5, []] for name in official_results()}
    file = write(tmp_path / "a_eval_results.json", {name.replace("_", " "): value for name, value in raw.items()})
    with pytest.raises(UserError, match="no per-video values"):
        call("vbench-totals", file, "--path", few)
    call("vbench-totals", file, "--allow-missing", "--path", few)
    said = capsys.readouterr().out
    # By hand: (0.5 - 0.1462) / 0.8538 = 0.414383, of which 80 / 6.5 are 5.100.
    (line,) = [line for line in said.splitlines() if "subject_consistency" in line and "0.1462" in line]
    assert line.split() == ["subject_consistency", "Quality", "50.00", "0.1462", "to", "1", "41.44", "1", "5.100", "0"]
    assert "incomplete: scene: no per-video values" in said and "PARTIAL" not in said


def test_a_total_without_a_dimension_is_refused_or_called_partial(few: Path, tmp_path: Path, capsys, monkeypatch) -> None:  # noqa: F811
    file = write(tmp_path / "a_eval_results.json", official_results(dimensions=SIX))
    with pytest.raises(UserError, match=r"11 of 16 dimensions are missing: temporal_flickering"):
        call("vbench-totals", file)
    monkeypatch.delenv("S2G_DATA", raising=False)
    call("vbench-totals", file, "--allow-missing")
    said = " ".join(capsys.readouterr().out.split())
    assert "PARTIAL: 5 of 16 dimensions, without temporal_flickering" in said
    assert "Total (partial, unchecked)" in said and "unchecked: without the prompts" in said
    (few / prompts.FILE).write_bytes(b"[]")  # one that is there and wrong is not taken for none
    (tmp_path / "data" / "prompts").mkdir(parents=True)
    few.rename(tmp_path / "data" / "prompts" / "vbench")
    monkeypatch.setenv("S2G_DATA", str(tmp_path / "data"))
    with pytest.raises(UserError, match=r"is not the official file(.|\n)*remove or replace \S*data/prompts/vbench/VBench_full"):
        call("vbench-totals", file, "--allow-missing")


def test_the_same_videos_are_compared_or_it_is_refused(few: Path, tmp_path: Path, capsys) -> None:  # noqa: F811
    whole, less = official_results(), official_results(0.02)
    less["object_class"][1] = less["object_class"][1][:3]
    a, b = write(tmp_path / "a.json", whole), write(tmp_path / "b.json", less)
    for more in ((), ("--path", few)):
        with pytest.raises(
            UserError, match=r"object_class: A alone has 2 videos: a bird-3\.mp4, a bird-4\.mp4(.|\n)*both have"
        ):
            call("vbench-compare", a, b, *more)
    with pytest.raises(UserError, match=r"B: object_class: 2 videos without a value"):
        call("vbench-compare", b, b, "--path", few)  # the same set, and not the whole one
    call("vbench-compare", a, b, "--allow-missing")
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.strip().startswith("object_class")]
    assert line.split()[3] == "+2.00"  # of the three that both have
    assert "NOT THE WHOLE SET" in said and "unchecked: " in said
    assert "B: object_class: the package's" in said  # its value is of five videos, and said to be
    other = json.loads(json.dumps(whole).replace("a red bicycle", "a blue car").replace("a bird-", "a birb-"))
    c = write(tmp_path / "c.json", other)
    with pytest.raises(UserError, match=r"object_class: B alone has 5 videos(.|\n)*color: no prompt in common"):
        call("vbench-compare", a, c)
    with pytest.raises(UserError, match="there is no 'a birb'"):
        call("vbench-compare", a, c, "--path", few)


def test_two_methods_are_compared(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    a = write(tmp_path / "a.json", official_results())
    b = write(tmp_path / "b.json", official_results(0.02))
    call("vbench-compare", a, b)
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.strip().startswith("imaging_quality")]
    assert line.split()[3:] == ["+2.00", "[+2.00,", "+2.00]", "2"] and "PARTIAL" not in said and "total" in said
    call("vbench-compare", a, write(tmp_path / "c.json", official_results(dimensions=SIX)))
    assert "PARTIAL: these totals are of 5 of 16 dimensions, without temporal_flickering" in capsys.readouterr().out
    with pytest.raises(UserError, match="no dimension has per-video values in both"):
        call("vbench-compare", a, write(tmp_path / "d.json", {"scene": 0.4}))


def test_a_mistake_is_one_message_and_code_2(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", {"subject_consistency": 96.5})
    done = subprocess.run(
        [sys.executable, "-m", "s2g.cli.main", "vbench-totals", str(file)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2 and "it looks like percent" in done.stderr and "Traceback" not in done.stderr

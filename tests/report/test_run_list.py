"""Runs told apart in lists: by what was typed, date, n and headline score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s2g.cli.commands.inventory import find_run
from s2g.cli.main import app
from s2g.cli.run import main
from s2g.errors import UserError
from s2g.report.run_list import in_order, summary
from s2g.store.store import Store

QUICK = ["sampler.steps=2", "num=16", "executor.workers=1", "guidance=cfg"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of CFG, of scales 1 and 4."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        assert main(["-m", *QUICK, "guidance.scale=1,4", f"runs={folder}"]) == 0
    return folder


def test_a_run_says_what_was_typed_and_its_score(root: Path) -> None:
    found = {one.typed: one for one in (summary(Store(folder)) for folder in root.iterdir())}
    assert set(found) == {f"guidance=cfg guidance.scale={scale} sampler.steps=2" for scale in (1, 4)}
    for one in found.values():
        (stored,) = [json.loads(path.read_text()) for path in (one.store.folder / "scores").glob("*.json")]
        assert one.num == 16 and one.score is not None and one.score.value == stored["values"]["joint"]["value"]
        assert one.line.endswith(f"{one.date}, n = 16, all right % {one.score.value:.1f}")


def test_the_best_score_is_first_and_no_score_is_last(root: Path) -> None:
    runs = [summary(Store(folder)) for folder in root.iterdir()]
    bare = summary(Store(root / "gone"))
    ordered = in_order([bare, *runs], "score")
    values = [one.score.value for one in ordered if one.score]
    assert len(values) == 2 and values == sorted(values, reverse=True) and ordered[-1] is bare


def test_status_and_an_ambiguous_name_list_the_runs(root: Path) -> None:
    shown = CliRunner().invoke(app, ["status", "--runs", str(root), "--sort", "score"])
    assert shown.exit_code == 0 and all(f"guidance.scale={scale}" in shown.output for scale in (1, 4)), shown.output
    assert "all right %" in shown.output and "failed" not in shown.output  # an empty column
    with pytest.raises(UserError, match=r"tiny_sit-cfg: 2 runs match\n  allowed: \n    tiny_sit-cfg-\w{12}: guidance=cfg"):
        find_run("tiny_sit-cfg", str(root))
    with pytest.raises(UserError, match=r"nope: no such run\n(.*\n)+.*guidance.scale=4 sampler.steps=2; 20"):
        find_run("nope", str(root))
    wrong = CliRunner().invoke(app, ["status", "--runs", str(root), "--sort", "scroe"])
    assert isinstance(wrong.exception, UserError) and "Did you mean 'score'?" in str(wrong.exception)

"""A table of one's own, with a method of one's own: planned, made, printed and reported like the paper's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s2g.cli.main import app
from s2g.config.own_modules import import_own_modules
from s2g.errors import UserError
from s2g.experiments.runner import resolve_rows
from s2g.experiments.specification_file import find_experiment, read_experiment

METHOD = '''
from dataclasses import dataclass
from s2g.config.plugins import add_method
from s2g.guidance.cfg import CFG

@dataclass(frozen=True)
class Halved(CFG):
    """CFG at half its scale."""

    def combine(self, preds, step, state):
        return CFG(self.scale / 2).combine(preds, step, state)

add_method("halved", Halved)
'''
TABLE = """
title: Halved against CFG
source: ours
against: cfg
rows:
  cfg: {label: CFG, set: {guidance: cfg, guidance.scale: 2}}
  halved: {label: Halved, set: {guidance: halved, guidance.scale: 3}}
  equal: {label: CFG at its strength, set: {guidance: cfg}, match: {scale: halved}}
  sought:
    {label: S2 there, set: {guidance: s2, guidance.omega: 0.1}, match: {scale: halved, by: scale, between: [1.1, 3]}}
  s2: {label: S2, set: {guidance: s2}}
  nfe: {label: CFG at S2's NFE, set: {guidance: cfg}, match: {nfe: s2}}
  flops: {label: CFG at S2's FLOPs, set: {guidance: cfg}, match: {flops: s2}}
profiles:
  tiny:
    set: {num: 16, sampler.steps: 4}
    groups: {tiny_sit: {label: tiny_sit, set: {model: tiny_sit, bench: shapes}}}
    columns: {joint: {metric: joint}}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_methods: None) -> Path:
    """A folder with own_halved.py and mine.yaml."""
    monkeypatch.delitem(sys.modules, "own_halved", raising=False)
    (tmp_path / "own_halved.py").write_text(METHOD)
    (tmp_path / "mine.yaml").write_text(TABLE)
    return tmp_path


def s2g(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, UserError):
        return 2, str(done.exception)
    return done.exit_code, done.stdout


def test_equal_cost_is_known_before_anything_is_sampled(own: Path) -> None:
    """S2 adds one pass in 3 of 4 steps (the window holds steps 0 to 2): 11 evaluations against 8, 5.5 steps of 2."""
    import_own_modules(["--with", str(own / "own_halved.py")])
    rows = resolve_rows(read_experiment(own / "mine.yaml").profiles["tiny"], None)
    by_name = {spec.row: (spec, rows.runs.get(index)) for index, spec in enumerate(rows.specs)}
    assert by_name["nfe"][1].sampler.steps == 6
    assert by_name["flops"][1].sampler.steps == 5  # a sub pass costs less than a whole one
    assert by_name["equal"][1] is None and by_name["equal"][0].match == {"scale": "halved"}


@pytest.mark.slow("samples a table")
def test_an_own_table_with_an_own_method_is_made_and_reported(own: Path) -> None:
    arguments = ["--with", own / "own_halved.py"]
    where = ["--out", own / "out", "--runs", own / "runs"]
    code, said = s2g("table", own / "mine.yaml", *arguments, *where, "--workers", "1")
    assert code == 0 and "Halved" in said, said
    rows = {row["row"]: row for row in json.loads((own / "out" / "mine-tiny.json").read_text())["rows"]}
    # Halved at 3 is CFG at 1.5, so that CFG brought to its effective scale is the same but for its name.
    assert rows["equal"]["effective_scale"]["value"] == pytest.approx(1.5, abs=0.006)
    assert "guidance.scale=1.5" in rows["equal"]["command"]
    assert rows["sought"]["effective_scale"]["value"] == pytest.approx(1.5, abs=0.02)
    assert (rows["nfe"]["evaluations"], rows["s2"]["evaluations"]) == (12, 11)
    code, said = s2g("tables", "--results", own / "out", *arguments)
    assert code == 0 and "Halved against CFG" in said and "stale" not in said
    code, said = s2g("report", "--results", own / "out", "--out", own / "site", "--runs", own / "runs", *arguments)
    assert code == 0 and "Halved against CFG" in "".join(page.read_text() for page in (own / "site").rglob("*.html"))
    code, said = s2g("score", rows["halved"]["keys"]["shapes"], "--runs", own / "runs", *arguments)
    assert code == 0 and "halved" in said


def test_a_plan_of_an_own_table(own: Path) -> None:
    code, said = s2g("plan", own / "mine.yaml", "--with", own / "own_halved.py", "--runs", own / "runs")
    assert code == 0 and "CFG at S2's NFE" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{scale: halved}", "{scale: halfed}", "Did you mean 'halved'"),
        ("{scale: halved}", "{scale: equal}", "that row is matched itself"),
        ("{scale: halved}", "{scael: halved}", "rows.equal.match.scael: there is no such key"),
        ("{nfe: s2}", "{nfe: s2, flops: s2}", "one of nfe, flops, scale"),
        ("match: {scale: halved, by: scale, between: [1.1, 3]}", "match: {scale: halved}", "only CFG's effective scale"),
    ],
)
def test_a_wrong_match_is_named(own: Path, old: str, new: str, said: str) -> None:
    (own / "mine.yaml").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        find_experiment(own, "mine")
    assert said in str(error.value) and str(error.value).startswith("mine.yaml:")


def test_a_file_named_like_an_experiment_of_the_paper_is_refused(own: Path) -> None:
    (own / "table2.yaml").write_text(TABLE)
    code, said = s2g("plan", own / "table2.yaml")
    assert code == 2 and "table2 is the name of an experiment of the paper" in said


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("nowhere.py", None, "no Python file there"),
        ("own_empty.py", "", "it registers nothing"),
        ("own_wrong.py", "1 / 0", "ZeroDivisionError"),
        ("json.py", METHOD, "json is the name of another module"),
    ],
)
def test_a_module_that_cannot_be_used_is_refused(own: Path, file: str, text: str | None, said: str) -> None:
    if text is not None:
        (own / file).write_text(text)
    code, message = s2g("ls", "--with", own / file)
    assert code == 2 and said in message

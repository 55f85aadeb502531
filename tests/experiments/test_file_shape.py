"""Experiment files of the wrong shape: one error each, with file, line, key and what is allowed; never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from s2g.errors import UserError
from s2g.experiments.claims import read_claims
from s2g.experiments.specification_file import read_experiment
from s2g.experiments.tuning_specification import read_tuning

WHOLE = """\
title: Mine
source: nowhere
against: cfg
columns:
  fd: {metric: fd}
rows:
  cfg: {label: CFG, set: {guidance: cfg}}
  s2: {label: S2, set: {guidance: s2}}
profiles:
  tiny:
    set: {num: 32}
    groups:
      tiny_sit: {label: tiny_sit}
"""


def read(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    read_experiment(tmp_path / "mine.yaml")


def test_the_whole_file_is_right(tmp_path: Path) -> None:
    read(tmp_path, WHOLE)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("columns:\n  fd: {metric: fd}", "columns: []", 4, "columns = []\n  allowed: a mapping"),
        ("rows:\n  cfg: {label: CFG, set: {guidance: cfg}}\n  s2:", "rows: [a]\nb:\n  s2:", 7, "b: there is no such key"),
        ("source: nowhere", "source: nowhere\nmore: 3", 3, "more: there is no such key. Did you mean 'source'?"),
        ("  cfg: {label: CFG, set: {guidance: cfg}}", "  cfg: null", 7, "rows.cfg = None\n  allowed: a mapping"),
        ("  cfg: {label: CFG, set: {guidance: cfg}}", "  cfg: [label]", 7, "rows.cfg = ['label']\n  allowed: a mapping"),
        ("set: {guidance: cfg}", "set: text", 7, "rows.cfg.set = text\n  allowed: a mapping"),
        ("label: CFG,", "label: 7,", 7, "rows.cfg.label = 7\n  allowed: text"),
        ("label: CFG,", "lable: CFG,", 7, "rows.cfg.lable: there is no such key. Did you mean 'label'?"),
        ("label: CFG,", "label: CFG, sweep: 3,", 7, "rows.cfg.sweep = 3\n  allowed: a mapping"),
        ("label: CFG,", "label: CFG, sweep: {num: 3},", 7, "rows.cfg.sweep.num = 3\n  allowed: a list"),
        ("label: CFG,", "label: CFG, against: {a: b},", 7, "rows.cfg.against = {'a': 'b'}\n  allowed: text"),
        ("source: nowhere", "source: nowhere\npaper: 3", 3, "paper = 3\n  allowed: a mapping"),
        ("source: nowhere", "source: nowhere\npaper: {a: {cfg: text}}", 3, "paper.a.cfg = text\n  allowed: a list"),
        ("source: nowhere", "source: nowhere\nnotes: 3", 3, "notes = 3\n  allowed: a list"),
        ("source: nowhere", "source: nowhere\nnotes: [a, 3]", 3, "notes.1 = 3\n  allowed: text"),
        ("against: cfg", "against: {cfg: s2}", 3, "against = {'cfg': 's2'}\n  allowed: text"),
        ("title: Mine", "title: 2026-11-27", 1, "title = 2026-11-27\n  allowed: text"),
        ("  tiny:\n    set: {num: 32}", "  tiny:\n    set: {num: 32}\n    without: 3", 12, "profiles.tiny.without = 3"),
        ("    set: {num: 32}", "    set: {num: 32}\n    only: [cfg]", 12, "profiles.tiny.only = ['cfg']\n  allowed: a mapping"),
        ("    set: {num: 32}", "    set: {num: 32}\n    drawing: 3", 12, "profiles.tiny.drawing = 3\n  allowed: a mapping"),
        ("    set: {num: 32}", "    set: {num: 32}\n    plot: [a]", 12, "profiles.tiny.plot = ['a']\n  allowed: a mapping"),
        ("    set: {num: 32}", "    set: {num: 32}\n    rows: {cfg: 3}", 12, "profiles.tiny.rows.cfg = 3\n  allowed: a"),
        ("    groups:\n      tiny_sit: {label: tiny_sit}", "    groups: [tiny_sit]", 12, "profiles.tiny.groups = ['tiny_sit']"),
        ("  s2: {label", "  7: {label", 8, "key 7: not a word\n  do: put it in quotes: '7'"),
        ("  s2: {label", "  [s2]: {label", 8, "key a list or mapping: not a word"),
        ("  s2: {label", "  cfg: {label", 8, "cfg is there twice"),
    ],
)  # fmt: skip
def test_a_part_of_the_wrong_shape_is_named(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert WHOLE.count(old) == 1
    with pytest.raises(UserError) as error:
        read(tmp_path, WHOLE.replace(old, new))
    assert str(error.value).startswith(f"mine.yaml:{line}: {said}"), str(error.value)


@pytest.mark.parametrize("text", ["profiles: []", "- a\n- b\n", "", "text", "3"])
def test_a_file_that_is_no_mapping_of_parts_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml:1: profiles = \[\]|mine\.yaml: not a mapping"):
        read(tmp_path, text)


def test_a_label_may_hold_braces(tmp_path: Path) -> None:
    read(
        tmp_path,
        WHOLE.replace("label: CFG,", "label: 'CFG {x} {}', sweep: {guidance.scale: [1, 2]},").replace(
            "against: cfg", "against: s2"
        ),
    )
    rows = read_experiment(tmp_path / "mine.yaml").profiles["tiny"].rows
    assert [line.label for line in rows.values()][:2] == ["CFG {x} 1", "CFG {x} 2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WHOLE.replace("Mine", "Größe").encode("latin-1"), "not text in UTF-8"),
        (WHOLE.encode("utf-16"), "not text in UTF-8"),
        (WHOLE.replace("title: Mine", "title: 2026-13-45"), "month must be in 1..12"),
        ("a: &a {b: *a}", "nested too deep"),
        ("a: " + "[" * 50 + "]" * 50, "nested too deep"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "nested too deep"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(12)
        ), "more than 100,000 values"),
        ("a: " + "x" * 2_000_000, "2,000,003 characters"),
        ("a: b: c", "not YAML"),
    ],
    ids=["latin-1", "utf-16", "date", "cycle", "deep", "very deep", "alias bomb", "large", "syntax"],
)  # fmt: skip
def test_hostile_files_are_refused_at_once(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        read(tmp_path, text)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    read(tmp_path, WHOLE.encode("utf-8-sig"))


def test_claims_and_tuning_files_have_shapes_too(tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text("a:\n  claim: it is better\n  source: here\n  tiny: {kind: better}\n")
    with pytest.raises(UserError, match=r"claims\.yaml:4: a\.tiny = .*\n  allowed: a list"):
        read_claims(tmp_path)
    (tmp_path / "mine.yaml").write_text("model: tiny_sit\nbench: shapes\nagainst: cfg\nrows: []\n")
    with pytest.raises(UserError, match=r"mine\.yaml:\d: (rows|tune)"):
        read_tuning(tmp_path / "mine.yaml")

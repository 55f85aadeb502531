"""The paper's claims: every check names what is there, and a verdict is what its interval says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from s2g.config.schema import CHECKOUT
from s2g.errors import UserError
from s2g.experiments.claims import Claim, read_claims
from s2g.experiments.results import Cell, ResultRow, Results
from s2g.experiments.specification import paper_number
from s2g.experiments.verdicts import Found, Judged, Verdict, compare, judge
from s2g.report.show_claims import show_claims

FOLDER = CHECKOUT / "experiments"
CLAIMS = {claim.name: claim for claim in read_claims(FOLDER)}
HOLDS, NOT, UNDECIDED, NOT_RUN = Verdict.HOLDS, Verdict.NOT, Verdict.INCONCLUSIVE, Verdict.NOT_RUN


def test_every_claim_has_a_check_on_the_papers_own_models() -> None:
    assert len(CLAIMS) >= 13
    for claim in CLAIMS.values():
        exhibits = {check.exhibit for checks in claim.checks.values() for check in checks}
        # Studies of unseen images have no counterpart: the data of the paper's models is not here.
        assert claim.checks.get("paper") or not any(map(paper_number, exhibits)), claim.name


@pytest.mark.parametrize(
    ("kind", "low", "high", "higher", "margin", "verdict"),
    [
        ("better", 0.1, 2.0, True, 0.0, HOLDS),
        ("better", -2.0, -0.1, True, 0.0, NOT),
        ("better", -2.0, -0.1, False, 0.0, HOLDS),
        ("better", -1.0, 1.0, True, 0.0, UNDECIDED),
        ("worse", -2.0, -0.1, True, 0.0, HOLDS),
        ("worse", 0.1, 2.0, True, 0.0, NOT),
        ("worse", 0.1, 2.0, False, 0.0, HOLDS),
        ("equivalent", -0.5, 0.9, True, 1.0, HOLDS),
        ("equivalent", 1.1, 1.9, True, 1.0, NOT),
        ("equivalent", -1.9, -1.1, False, 1.0, NOT),
        ("equivalent", 0.5, 1.5, True, 1.0, UNDECIDED),
        ("not_better", -9.0, 0.9, True, 1.0, HOLDS),
        ("not_better", -0.9, 9.0, False, 1.0, HOLDS),
        ("not_better", -9.0, -1.1, False, 1.0, NOT),
        ("not_better", 0.5, 1.5, True, 1.0, UNDECIDED),
    ],
)
def test_a_verdict_is_what_the_interval_says(
    kind: str, low: float, high: float, higher: bool, margin: float, verdict: Verdict
) -> None:
    assert compare(kind, low, high, higher, margin) is verdict


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, UNDECIDED], UNDECIDED),
        ([UNDECIDED, NOT_RUN], NOT_RUN),
        ([NOT_RUN, NOT], NOT),
        ([], NOT_RUN),
    ],
)
def test_one_failure_is_enough_and_nothing_undecided_holds(verdicts: list[Verdict], whole: Verdict) -> None:
    claim = Claim("c", "", "", {})
    assert Judged(claim, "tiny", [Found(verdict, "", "") for verdict in verdicts]).verdict is whole


def results(name: str, rows: dict[str, tuple[float, float]], flops: float = 2.0) -> Results:
    """Results of tiny_sd3 whose differences in `fd` have these intervals; the first row is the one compared with."""
    measured = []
    for row, (low, high) in rows.items():
        delta = None if not measured else {"value": (low + high) / 2, "low": low, "high": high}
        cells = {"fd": Cell(10.0, 9.0, 11.0, delta), "joint": Cell(10.0, 9.0, 11.0, delta)}
        cost = flops if measured else 2.0
        measured.append(ResultRow("tiny_sd3", row, row, "", "run", {"shapes": row}, "cfg", 32, 2, cells, None, 1.0, cost, 1.0))
    columns = {name: {"label": name, "higher": name == "joint", "digits": 1} for name in ("fd", "joint")}
    return Results(name, "tiny", 32, {}, columns, tuple(measured))


def verdict_of(claim: str, out: Path) -> Verdict:
    return judge(CLAIMS[claim], "tiny", FOLDER, out).verdict


def test_nothing_measured_is_not_run(tmp_path: Path) -> None:
    assert verdict_of("a_tenth_is_best", tmp_path) is NOT_RUN
    assert verdict_of("hps_in_every_style", tmp_path) is NOT_RUN


@pytest.mark.parametrize(
    ("first", "verdict"), [((-9.0, -6.0), HOLDS), ((-9.0, -2.0), UNDECIDED), ((5.0, 6.0), NOT)], ids=["", "overlaps", "wrong"]
)
def test_an_ordering_needs_every_pair(tmp_path: Path, first: tuple[float, float], verdict: Verdict) -> None:
    rows = {"cfg": (0.0, 0.0), "s2@1": first, **dict.fromkeys(("s2@2", "s2@3", "s2@4"), (-4.0, -3.0))}
    results("table4", rows).write(tmp_path / "table4-tiny.json")
    assert verdict_of("a_tenth_is_best", tmp_path) is verdict


def test_a_row_without_a_difference_is_not_taken_for_the_compared_one(tmp_path: Path) -> None:
    rows = {"cfg": (0.0, 0.0), "s2@1": (-9.0, -6.0), **dict.fromkeys(("s2@2", "s2@3", "s2@4"), (3.0, 4.0))}
    whole = results("table4", rows)
    bare = {column: replace(cell, delta=None) for column, cell in whole.rows[2].cells.items()}
    lacking = (*whole.rows[:2], replace(whole.rows[2], cells=bare), *whole.rows[3:])
    replace(whole, rows=lacking).write(tmp_path / "table4-tiny.json")
    assert verdict_of("a_tenth_is_best", tmp_path) is UNDECIDED


@pytest.mark.parametrize(("flops", "verdict"), [(2.72, HOLDS), (2.73, NOT)])
def test_cost_is_relative_to_the_compared_row(tmp_path: Path, flops: float, verdict: Verdict) -> None:
    results("table5", {"cfg": (0.0, 0.0), "s2": (0.0, 0.0)}, flops).write(tmp_path / "table5-tiny.json")
    assert verdict_of("reuse_lowers_the_cost", tmp_path) is verdict


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: better", "kind: beter", "Did you mean 'better'"),
        ("rows: [s2]", "rows: [s3]", "Did you mean 's2'"),
        ("columns: [fd]", "columns: [fid]", "Did you mean 'fd'"),
        ("exhibit: table2", "exhibit: tabel2", "Did you mean 'table2'"),
        ("kind: better", "kind: equivalent", "margin: missing"),
        ("kind: better", "kind: value", "at_most or at_least: missing"),
        ("kind: better", "kind: ratio", "at_most: missing"),
        ("columns: [fd]", "columns: [flops]", "there is no 'flops'"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (
        "a:\n  claim: it is better\n  source: nowhere\n  tiny: [{kind: better, exhibit: table2, rows: [s2], columns: [fd]}]\n"
    )
    (tmp_path / "table2.yaml").write_text((FOLDER / "table2.yaml").read_text())
    (tmp_path / "claims.yaml").write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_claims(tmp_path)
    assert str(raised.value).startswith("claims.yaml:4: ")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("ends", "verdict"), [((0.4, 0.6), Verdict.HOLDS), ((0.1, 0.2), Verdict.NOT), ((0.2, 0.6), Verdict.INCONCLUSIVE)]
)
def test_a_value_that_should_be_large(tmp_path: Path, ends: tuple[float, float], verdict: Verdict) -> None:
    rows = []
    for group in ("toy_1d", "toy_2d", "early_1d", "early_2d"):
        cell = Cell(sum(ends) / 2, *ends)
        rows.append(ResultRow(group, "all", "all", "", "run", {}, "", 8, cells={"rank": cell}, runs=5))
    about = {"rank": {"label": "rank", "higher": True, "digits": 3}}
    Results("eq14", "tiny", None, {}, about, tuple(rows)).write(tmp_path / "eq14-tiny.json")
    assert verdict_of("variance_marks_error", tmp_path) is verdict


@pytest.mark.slow("reads all results")
def test_verdicts_go_to_a_folder_that_is_made(tmp_path: Path) -> None:
    show_claims(FOLDER, tmp_path / "new" / "folder", tmp_path / "new" / "folder", Console(quiet=True))
    assert (tmp_path / "new" / "folder" / "claims.md").read_text().startswith("# The paper's claims")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out .*file: cannot be written"):
        show_claims(FOLDER, tmp_path / "file", tmp_path / "file", Console(quiet=True))

"""Judge claims from stored results: a verdict and the numbers it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from s2g.experiments.claims import RECORDED, Check, Claim, read_claims, rows_of, tiers
from s2g.experiments.results import ResultRow, Results
from s2g.experiments.specification import PROFILES, ExperimentSpec
from s2g.experiments.specification_file import find_experiment


class Verdict(StrEnum):
    """Of a claim, or of one comparison."""

    HOLDS = "holds"
    NOT = "does not hold"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Found:
    """One comparison: its verdict, and the numbers it rests on."""

    verdict: Verdict
    said: str
    file: str


@dataclass(frozen=True)
class Judged:
    """A claim in one profile."""

    claim: Claim
    profile: str
    found: Sequence[Found]

    @property
    def verdict(self) -> Verdict:
        """One failure is enough; then what was not run, then what is not decided."""
        verdicts = {found.verdict for found in self.found} or {Verdict.NOT_RUN}
        order = (Verdict.NOT, Verdict.NOT_RUN, Verdict.INCONCLUSIVE, Verdict.HOLDS)
        return next(verdict for verdict in order if verdict in verdicts)


def judge_all(folder: Path, results: Path) -> dict[str, dict[str, Judged]]:
    """Return the verdict on every claim of folder/claims.yaml, in every profile, by the claim's name."""
    claims = read_claims(folder)
    return {claim.name: {profile: judge(claim, profile, folder, results) for profile in PROFILES} for claim in claims}


def judge(claim: Claim, profile: str, folder: Path, out: Path) -> Judged:
    """A claim's verdict from the results that lie in `out`; nothing is run."""
    found: list[Found] = []
    for check in claim.checks.get(profile, ()):
        found += _judged(check, profile, find_experiment(folder, check.exhibit), out)
    return Judged(claim, profile, found)


def _judged(check: Check, profile_name: str, experiment: ExperimentSpec, out: Path) -> Iterator[Found]:
    path = out / f"{experiment.name}-{profile_name}.json"
    if not path.exists():
        yield Found(Verdict.NOT_RUN, f"{experiment.name} was not run in profile {profile_name}", "")
        return
    profile = experiment.profile(profile_name)
    results = Results.load(path, [column for column in check.columns if column in profile.columns])
    measured = {(row.group, row.row): row for row in results.rows}
    if len(profile.groups) > 1:  # a comparison says which group it is of
        measured = {at: replace(row, label=f"{profile.groups[row.group].label}, {row.label}") for at, row in measured.items()}
    named = [rows_of(profile, tier) for tier in tiers(check)]
    for group, column in product(check.groups or profile.groups, check.columns):
        if check.kind == "ordering":
            for above, below in pairwise(named):
                for a, b in product(above, below):
                    yield _ordered(measured.get((group, a)), measured.get((group, b)), column, results, path.name)
            continue
        for row in named[0]:
            one = measured.get((group, row))
            reference = measured.get((group, profile.reference(row)))
            yield _one(check, one, reference, column, results, path.name)


def _one(check: Check, row: ResultRow | None, reference: ResultRow | None, column: str, results: Results, file: str) -> Found:
    if row is None or not row.cells:
        return Found(Verdict.NOT_RUN, "no such row was run" if row is None else f"{row.label}: {row.status}", file)
    if check.kind == "ratio":
        return _ratio(check, row, reference, column, results, file)
    if check.kind == "value":
        return _value(check, row, column, results, file)
    cell, about = row.cell(column), results.columns[column]
    delta = None if cell is None else cell.delta
    if not delta or delta["value"] is None:
        return Found(Verdict.NOT_RUN, f"{row.label}: no difference in {about['label']} was measured", file)
    to = "" if reference is None else f" to {reference.label}"
    said = f"{row.label}: Δ {about['label']} {_interval(delta, about['digits'])}{to}{_beside(column, row, reference)}"
    if delta["low"] is None:
        return Found(Verdict.INCONCLUSIVE, f"{said} (no interval)", file)
    return Found(compare(check.kind, delta["low"], delta["high"], bool(about["higher"]), check.margin or 0.0), said, file)


def compare(kind: str, low: float, high: float, higher: bool, margin: float = 0.0) -> Verdict:
    """A difference's interval against a claim about it."""
    if not higher:
        low, high = -high, -low  # from here on, more is better
    if kind == "worse":
        low, high = -high, -low
    if kind == "equivalent":
        holds, not_so = -margin < low and high < margin, low > margin or high < -margin
    elif kind == "not_better":
        holds, not_so = high < margin, low > margin
    else:
        holds, not_so = low > 0, high < 0
    return Verdict.HOLDS if holds else Verdict.NOT if not_so else Verdict.INCONCLUSIVE


def _ratio(check: Check, row: ResultRow, reference: ResultRow | None, column: str, results: Results, file: str) -> Found:
    assert check.at_most is not None
    name = RECORDED.get(column) or results.columns[column]["label"]
    value, base = (None if one is None else _number(one, column) for one in (row, reference))
    if value is None or not base or reference is None:
        return Found(Verdict.NOT_RUN, f"{row.label}: {name} were not counted", file)
    said = f"{row.label}: {value / base:.3f} times the {name} of {reference.label} (at most {check.at_most:g})"
    return Found(Verdict.HOLDS if value / base <= check.at_most else Verdict.NOT, said, file)


def _number(row: ResultRow, column: str) -> float | None:
    cell = row.cell(column)
    return getattr(row, column) if column in RECORDED else None if cell is None else cell.value


def _value(check: Check, row: ResultRow, column: str, results: Results, file: str) -> Found:
    limit = check.at_most if check.at_least is None else check.at_least
    assert limit is not None
    cell = row.cell(column)
    if cell is None or cell.value is None:
        return Found(Verdict.NOT_RUN, f"{row.label}: {column} was not measured", file)
    low, high = (cell.value if end is None else end for end in (cell.low, cell.high))
    about = results.columns[column]
    word = "at most" if check.at_least is None else "at least"
    said = (
        f"{row.label}: {about['label']} {_interval(vars(cell), about['digits'], '')} ({word} {limit:g}){_beside(column, row)}"
    )
    if check.at_least is not None:
        low, high, limit = -high, -low, -limit
    return Found(Verdict.HOLDS if high <= limit else Verdict.NOT if low > limit else Verdict.INCONCLUSIVE, said, file)


def _ordered(a: ResultRow | None, b: ResultRow | None, column: str, results: Results, file: str) -> Found:
    for row in (a, b):
        if row is None or row.cell(column) is None:
            return Found(Verdict.NOT_RUN, "no such row was run" if row is None else f"{row.label}: {row.status}", file)
    assert a is not None and b is not None
    about, ends = results.columns[column], []
    for row in (a, b):
        cell = row.cell(column)
        assert cell is not None
        delta = cell.delta
        if delta is None and row.against == row.row:  # the compared row's difference to itself is 0, for certain
            delta = {"value": 0.0, "low": 0.0, "high": 0.0}
        if delta is None or delta["low"] is None or delta["high"] is None or a.against != b.against:
            return Found(Verdict.INCONCLUSIVE, f"{row.label}: no difference with an interval to one common row", file)
        ends.append(delta)
    said = f"{a.label} against {b.label}: Δ {about['label']} {' and '.join(_interval(end, about['digits']) for end in ends)}"
    said += _beside(column, a, b)
    low, high = ends[0]["low"] - ends[1]["high"], ends[0]["high"] - ends[1]["low"]
    return Found(compare("better", low, high, bool(about["higher"])), said, file)


def _beside(column: str, *rows: ResultRow | None) -> str:
    """How many items the numbers are of, and what must be said beside them."""
    cells = [(row, row.cell(column)) for row in rows if row is not None]
    counts = ", ".join(map(str, sorted({row.n for row, _ in cells if row.n})))
    remarks = dict.fromkeys(remark for _, cell in cells if cell is not None for remark in cell.remarks)
    return "".join([f"; n = {counts}" if counts else "", *(f"; {remark}" for remark in remarks)])


def _interval(of: Mapping[str, Any], digits: int, sign: str = "+") -> str:
    value = f"{of['value']:{sign}.{digits}f}"
    return value if of["low"] is None else f"{value} [{of['low']:{sign}.{digits}f}, {of['high']:{sign}.{digits}f}]"

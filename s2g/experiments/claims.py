"""The paper's claims as checks of measured results: experiments/claims.yaml in, verdicts with their numbers out.

kinds, all on differences that the results hold, with their 95 % intervals (to the row the experiment compares with):
better, worse    the interval leaves out 0 on that side; for every row and column named
equivalent       the interval lies within -margin and margin
not_better       the interval lies on the worse side of margin
value            a cell at most `at_most` or at least `at_least`, with its interval where it has one
ratio            a number of the row over the compared row's, at most `at_most`: a column, or what every row records:
                 "evaluations" and "flops" per item (with prefix reuse)
ordering         each row of a tier is better than each of the next: their intervals do not overlap (which is stricter than
                 a test of their difference, since both are differences to one row)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s2g.errors import UserError, unknown
from s2g.experiments.file_shape import ClaimShape
from s2g.experiments.specification import PROFILES, Profile
from s2g.experiments.specification_file import find_experiment
from s2g.experiments.yaml_lines import Located

KINDS = ("better", "worse", "equivalent", "not_better", "value", "ratio", "ordering")
RECORDED = {"evaluations": "network evaluations", "flops": "FLOPs with prefix reuse"}  # for every row


@dataclass(frozen=True)
class Check:
    """Comparisons of one kind within one experiment."""

    kind: str
    exhibit: str
    columns: Sequence[str]  # of its profile; for `ratio` also those of RECORDED
    rows: Sequence[Any]  # names; a swept row stands for all its values; for `ordering` tiers of them, best first
    groups: Sequence[str] = field(default_factory=tuple)  # all that have the rows, if none is named
    margin: float | None = None
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Claim:
    """What the paper says, where, and what would show it in each profile; a profile without a counterpart has no check."""

    name: str
    claim: str
    source: str
    checks: Mapping[str, Sequence[Check]]


def read_claims(folder: Path) -> list[Claim]:
    """folder/claims.yaml; UserError with file and line for an unknown kind, experiment, group, row or column."""
    file = Located.of(folder / "claims.yaml")
    file.check(dict[str, ClaimShape])
    claims = []
    for name, about in file.content.items():
        checks = {}
        for profile in PROFILES:
            if profile in about:
                with file.at(name, profile):
                    checks[profile] = [_check(raw, profile, folder) for raw in about[profile]]
        claims.append(Claim(name, about["claim"], about["source"], checks))
    return claims


def _check(raw: Mapping[str, Any], profile_name: str, folder: Path) -> Check:
    check = Check(**raw)
    if check.kind not in KINDS:
        raise unknown("kind", check.kind, KINDS)
    needed = {
        "equivalent": ("margin",),
        "not_better": ("margin",),
        "value": ("at_most", "at_least"),
        "ratio": ("at_most",),
    }.get(check.kind, ())
    if needed and all(getattr(check, name) is None for name in needed):
        raise UserError(f"{' or '.join(needed)}: missing", todo=f"kind {check.kind} needs it")
    profile = find_experiment(folder, check.exhibit).profile(profile_name)
    known = [*profile.columns, *(RECORDED if check.kind == "ratio" else ())]
    for column in check.columns:
        if column not in known:
            raise unknown("columns", column, known)
    for group in check.groups:
        if group not in profile.groups:
            raise unknown("groups", group, profile.groups)
    for tier in tiers(check):
        rows_of(profile, tier)
    return check


def rows_of(profile: Profile, names: Sequence[str]) -> list[str]:
    """Rows by name; the name of a sweep is all of its rows. UserError for one that is not there."""
    found = []
    for name in names:
        swept = [row for row in profile.rows if row == name or row.startswith(f"{name}@")]
        if not swept:
            raise unknown("rows", name, profile.rows)
        found += swept
    return found


def tiers(check: Check) -> Sequence[Sequence[str]]:
    """Rows in the order they should come out; one tier for what is no ordering."""
    return check.rows if check.kind == "ordering" else [check.rows]

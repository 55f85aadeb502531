"""A table or figure of the paper as data: its rows, columns, the paper's numbers, and what each profile runs for it.

title, source, notes                what it is, where it stands in the paper, what contradicts itself there
columns: {NAME: {bench, metric}}    the paper's columns, as scores that a run of ours would have
paper: {GROUP: {ROW: [numbers]}}    the paper's numbers in that order; null where it prints none
rows: {NAME: {label, set}}          methods; `set` is what one would type after `python run.py`
profiles: {tiny, paper}             what is run: set, groups of rows (models), and what differs from the above
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from s2g.errors import UserError, unknown
from s2g.report.located import Located
from s2g.report.pooled import STATISTICS
from s2g.typed import only

PROFILES = ("tiny", "paper")
Setting = Mapping[str, Any]  # configuration key -> value, as typed on a command line


@dataclass(frozen=True)
class Column:
    """A score of a run: a metric of a bench."""

    metric: str
    bench: str = ""  # another than the profile's
    label: str = ""  # another than the metric's own
    beside: str = ""  # the paper's column whose number is shown next to it, under the paper's name
    digits: int | None = None  # after the point; else the metric's own
    over: str = ""  # a statistic over the runs of a row that is several (s2g/report/pooled.py)


@dataclass(frozen=True)
class Line:
    """A row: a method with its knobs; with `sweep`, one row for each value, with `over`, several runs in one row."""

    label: str
    set: Setting = field(default_factory=dict)
    sweep: Setting = field(default_factory=dict)  # configuration key -> values; their product
    over: Setting = field(default_factory=dict)  # the same, but all of them are one row
    footnote: str = ""
    like: str = ""  # the paper's row whose numbers stand beside it, where it has another name there


@dataclass(frozen=True)
class Group:
    """Rows of one model."""

    label: str
    set: Setting = field(default_factory=dict)
    like: str = ""  # the paper's group whose numbers stand beside it, where it is another model


@dataclass(frozen=True)
class Profile:
    """What is run: on which models and bench, and with which rows and columns."""

    name: str
    set: Setting
    groups: Mapping[str, Group]
    columns: Mapping[str, Column]
    rows: Mapping[str, Line]
    against: str  # the row every difference is taken to
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)  # group -> its rows, where they are not all
    plot: Setting = field(default_factory=dict)


@dataclass(frozen=True)
class Exhibit:
    """One table or figure."""

    name: str  # of its file
    title: str
    source: str
    notes: tuple[str, ...]
    columns: Mapping[str, Column]  # the paper's
    paper: Mapping[str, Mapping[str, Sequence[float | None]]]
    profiles: Mapping[str, Profile]

    def printed(self, group: str, row: str, column: str) -> float | None:
        """The paper's number of a cell, None where it prints none."""
        values = self.paper.get(group, {}).get(row)
        return None if values is None or column not in self.columns else values[list(self.columns).index(column)]

    def digits(self, column: str) -> int:
        """How many digits after the point the paper prints in a column."""
        place = list(self.columns).index(column)
        values = [row[place] for group in self.paper.values() for row in group.values()]
        return max((-int(Decimal(str(v)).as_tuple().exponent) for v in values if v is not None), default=0)


@dataclass(frozen=True)
class Wanted:
    """A row of one group on one bench: a run, as it would be typed."""

    group: str
    row: str
    label: str
    bench: str
    set: Setting

    @property
    def overrides(self) -> list[str]:
        """What follows `python run.py`."""
        return [f"{key}={word(value)}" for key, value in self.set.items()]


def read_exhibit(path: Path) -> Exhibit:
    """A table's or figure's YAML, checked against itself; UserError with file and line for what makes no sense."""
    file = Located.of(path)
    raw = dict(file.content)
    with file.at():
        only({"title", "source", "notes", "columns", "paper", "rows", "against", "profiles"}, raw, "")
    columns = {name: file.read(Column, about, "columns", name) for name, about in (raw.get("columns") or {}).items()}
    rows = {str(name): dict(about) for name, about in (raw.get("rows") or {}).items()}
    paper = raw.get("paper") or {}
    for group, lines in paper.items():
        for row, values in lines.items():
            with file.at("paper", group, row):
                if len(values) != len(columns):
                    raise UserError(f"paper.{group}.{row}: {len(values)} numbers for {len(columns)} columns")
    profiles = {}
    for name, about in (raw.get("profiles") or {}).items():
        with file.at("profiles", name):
            if name not in PROFILES:
                raise unknown("profiles", str(name), PROFILES)
        profiles[name] = _profile(file, name, about, raw, columns, rows)
    with file.at():
        for name in ("title", "source"):
            if not isinstance(raw.get(name), str):
                raise UserError(f"{name}: missing")
        if not profiles:
            raise UserError("profiles: missing", allowed=", ".join(PROFILES))
    return Exhibit(path.stem, raw["title"], raw["source"], tuple(raw.get("notes") or ()), columns, paper, profiles)


def find_exhibit(folder: Path, name: str) -> Exhibit:
    """folder/NAME.yaml; UserError with the nearest name if there is none."""
    names = exhibits(folder)
    if name not in names:
        raise unknown("experiment", name, names, todo="experiments are read from a checkout" if not names else "")
    return read_exhibit(folder / f"{name}.yaml")


def panels(folder: Path, name: str) -> list[str]:
    """NAME itself, or where there is none, its panels: fig7 is fig7a, fig7b, ...; UserError if there is neither."""
    known = exhibits(folder)
    parts = [known_name for known_name in known if known_name[:-1] == name and known_name[-1].isalpha()]
    if name in known or not parts:
        return [find_exhibit(folder, name).name]
    return parts


def exhibits(folder: Path) -> list[str]:
    """Names of the tables and figures there are."""
    return sorted(path.stem for pattern in ("table*.yaml", "fig*.yaml") for path in folder.glob(pattern))


def _profile(
    file: Located, name: str, about: Setting, raw: Setting, columns: Mapping[str, Column], rows: Mapping[str, Setting]
) -> Profile:
    place = ("profiles", name)
    with file.at(*place):
        only({"set", "groups", "columns", "rows", "without", "against", "only", "plot"}, about, f"profiles.{name}")
    own = about.get("columns")
    shown = columns if own is None else {c: file.read(Column, a, *place, "columns", c) for c, a in own.items()}
    for column, values in shown.items():
        with file.at(*place, "columns", column):
            if values.beside and values.beside not in columns:
                raise unknown(f"columns.{column}.beside", values.beside, columns)
            if values.over and values.over not in STATISTICS:
                raise unknown(f"columns.{column}.over", values.over, STATISTICS)
    lines: dict[str, Line] = {}
    without = about.get("without") or []
    over = about.get("rows") or {}
    for row in without:
        with file.at(*place, "without"):
            if row not in rows:
                raise unknown(f"profiles.{name}.without", str(row), rows)
    for row in (*(r for r in rows if r not in without), *(r for r in over if r not in rows)):
        where = (*place, "rows", row) if row in over else ("rows", row)
        merged = {**rows.get(row, {}), **(over.get(row) or {})}
        merged["set"] = {**(rows.get(row, {}).get("set") or {}), **((over.get(row) or {}).get("set") or {})}
        lines.update(_swept(row, file.read(Line, merged, *where)))
    groups = {g: file.read(Group, a, *place, "groups", g) for g, a in (about.get("groups") or {}).items()}
    against = about.get("against", raw.get("against", ""))
    limited = about.get("only") or {}
    with file.at(*place):
        if against not in lines:
            raise unknown("against", str(against), lines)
        for group in limited:
            if group not in groups:
                raise unknown(f"profiles.{name}.only", str(group), groups)
        for row in itertools.chain(*limited.values()):
            if row not in lines:
                raise unknown(f"profiles.{name}.only", str(row), lines)
    return Profile(name, about.get("set") or {}, groups, shown, lines, against, limited, about.get("plot") or {})


def _swept(row: str, line: Line) -> dict[str, Line]:
    """A row for each point of its sweep, named ROW@VALUE."""
    if not line.sweep:
        return {row: line}
    made = {}
    for values in itertools.product(*line.sweep.values()):
        point = dict(zip(line.sweep, values, strict=True))
        name = ",".join(word(value) for value in values)
        made[f"{row}@{name}"] = replace(line, label=f"{line.label}, {name}", set={**line.set, **point}, sweep={})
    return made


def wanted(profile: Profile) -> list[Wanted]:
    """Every run a profile names, in the order of its rows; a row on two benches is two."""
    found = []
    for group, about in profile.groups.items():
        for row in profile.only.get(group, list(profile.rows)):
            line = profile.rows[row]
            benches = dict.fromkeys(column.bench for column in profile.columns.values())
            for bench, values in itertools.product(benches, itertools.product(*line.over.values())):
                point = dict(zip(line.over, values, strict=True))
                given = {**profile.set, **about.set, **line.set, **point, **({"bench": bench} if bench else {})}
                name = str(given.get("bench", "shapes"))
                found.append(Wanted(group, row, line.label, name, given))
    return found


def word(value: Any) -> str:
    """A value as Hydra reads it on a command line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{word(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(word(inside) for inside in value) + "]"
    return str(value)

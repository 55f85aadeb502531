"""A table or figure of the paper as data: its rows, columns, the paper's numbers, and what each profile runs for it.

title, source, notes                what it is, where it stands in the paper, what contradicts itself there
columns: {NAME: {bench, metric}}    the paper's columns, as scores that a run of ours would have
paper: {GROUP: {ROW: [numbers]}}    the paper's numbers in that order; null where it prints none
rows: {NAME: {label, set}}          methods; `set` is what one would type after `python run.py`
remarks                             what is to be known of ours
study                               what is computed of the rows' networks instead of sampling them
                                    (s2g/experiments/studies); a profile may have one of its own, or none ("")
profiles: {tiny, real, paper}       what is run: set, groups of rows (models), and what differs from the above
printed                             instead of profiles: why there is nothing to run, only the paper's numbers to print
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from s2g.config.coerce import at_least
from s2g.errors import UserError, unknown

# Of the profiles: what they run on, as pages head it.
PROFILES = {
    "tiny": "On the small built-in models",
    "real": "On real photographs, with the built-in model",
    "paper": "As in the paper",
}
METHODS = "methods"  # the one name whose rows are tuned: its file is no table's
KINDS = ("table", "fig", "eq")  # tables and figures of the paper, and equations put to the test
STUDY = "study."  # before the knobs of a study
Setting = Mapping[str, Any]  # configuration key -> value, as typed on a command line


@dataclass(frozen=True)
class Column:
    """A score of a run: a metric of a bench."""

    metric: str  # or a likeness to the image of the compared row (s2g/metrics/likeness.py)
    bench: str = ""  # another than the profile's
    label: str = ""  # another than the metric's own
    beside: str = ""  # the paper's column whose number is shown next to it, under the paper's name
    digits: int | None = None  # after the point; else the metric's own
    over: str = ""  # a statistic over the runs of a row that is several (s2g/experiments/pooled.py)
    scale: float = 1.0  # what an item's score is multiplied by first: 0.01 makes fractions of percent
    where: str = ""  # file and line, filled in by who reads the file

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise UserError(f"columns.scale = {self.scale}", allowed="a number above 0, such as 0.01 for fractions of percent")


@dataclass(frozen=True)
class RowSpec:
    """A row: a method with its knobs; with `sweep`, one row for each value, with `over`, several runs in one row."""

    label: str
    set: Setting = field(default_factory=dict)
    sweep: Setting = field(default_factory=dict)  # key -> values; their product; "seed, mask_seed" is one value for both
    over: Setting = field(default_factory=dict)  # the same, but all of them are one row
    against: str = ""  # the row its differences are taken to, if not the profile's; of a sweep, the one of equal value
    match: Setting = field(default_factory=dict)  # made equal to another row in strength or cost (s2g/experiments/matching.py)
    footnote: str = ""
    like: str = ""  # the paper's row whose numbers stand beside it, where it has another name there
    where: str = ""  # file and line, filled in by who reads the file
    point_of: str = ""  # of a sweep's rows, the label of the sweep


@dataclass(frozen=True)
class Group:
    """Rows of one model."""

    label: str
    set: Setting = field(default_factory=dict)
    over: Setting = field(default_factory=dict)  # configuration key -> values: every row of it is several runs in one
    like: str = ""  # the paper's group whose numbers stand beside it, where it is another model


@dataclass(frozen=True)
class Plot:
    """A picture of the results: columns over a knob (one series a sweep), over the cost, or over another column (points)."""

    x: str  # a configuration key, a column, or flops
    y: tuple[str, ...]  # columns
    x_label: str = ""  # else the column's own
    by: str = ""  # a configuration key that splits a sweep into series
    name: str = ""  # of points: a configuration key whose value is written beside them
    at: Setting = field(default_factory=dict)  # row -> its place, where it has no such knob but belongs to the sweep's series
    together: str = ""  # what columns of one unit are: they share a panel, one for each group, under this label


@dataclass(frozen=True)
class Grid:
    """Images side by side, the same noises under every row: so many consecutive items, none picked by hand."""

    count: int = 12
    first: int = 0

    def __post_init__(self) -> None:
        at_least(self.count, 1, "grid.count")
        at_least(self.first, 0, "grid.first")

    @property
    def items(self) -> range:
        """Which items are shown."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True)
class Profile:
    """What is run: on which models and bench, and with which rows and columns."""

    name: str
    set: Setting
    groups: Mapping[str, Group]
    columns: Mapping[str, Column]
    rows: Mapping[str, RowSpec]
    against: str  # the row every difference is taken to
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)  # group -> its rows, where they are not all
    plot: Plot | None = None
    grid: Grid | None = None
    drawing: Setting | None = None  # a picture of something else than numbers: kind, and its own knobs (s2g/report/drawings)
    study: str = ""  # what is computed of its rows instead of sampling them

    def reference(self, row: str) -> str:
        """The row that a row's differences are taken to."""
        return (self.rows[row].against if row in self.rows else "") or self.against


@dataclass(frozen=True)
class ExperimentSpec:
    """One table or figure."""

    name: str  # of its file
    title: str
    source: str
    notes: tuple[str, ...]
    columns: Mapping[str, Column]  # the paper's
    paper: Mapping[str, Mapping[str, Sequence[float | None]]]
    profiles: Mapping[str, Profile]
    labels: Mapping[str, str] = field(default_factory=dict)  # of rows that stand in no profile
    only_printed: str = ""  # why nothing can be run
    remarks: tuple[str, ...] = ()  # what is to be known of ours

    def profile(self, name: str) -> Profile:
        """What is run in a profile; UserError if there is none of that name, or nothing to run at all."""
        if self.only_printed:
            raise UserError(
                f"{self.name}: there is nothing to run: {self.only_printed}",
                todo=f"{command_of(self.name)} prints the paper's numbers",
            )
        if name not in self.profiles:
            raise unknown("PROFILE", name, self.profiles)
        return self.profiles[name]

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
class RunSpec:
    """A row of one group on one bench: a run, as it would be typed."""

    group: str
    row: str
    label: str
    bench: str
    set: Setting
    where: str = ""  # file and line of its row
    match: Setting = field(default_factory=dict)  # the row's
    study: Setting = field(default_factory=dict)  # knobs of the study, where the experiment is one

    @property
    def overrides(self) -> list[str]:
        """What follows `python run.py`."""
        return [f"{key}={word(value)}" for key, value in self.set.items()]


def paper_number(name: str) -> tuple[int, int] | None:
    """Return (kind, number) of an experiment of the paper from its name (table1, fig7a, eq14); None for a user's own."""
    match = re.fullmatch(rf"({'|'.join(KINDS)})(\d+)[a-z]?", name)
    return None if match is None else (KINDS.index(match[1]), int(match[2]))


def command_of(name: str, profile: str = "tiny", num: int | None = None) -> str:
    """Return the command that makes an experiment: the paper's and the comparison of methods have a make target.

    num: items per row, where it is not the profile's own number.
    """
    made = name == METHODS or paper_number(name) is not None
    start, option = (f"make {name}", " {}=") if made else (f"s2g table {name}", " --{} ")
    given = {"profile": profile if profile != "tiny" else None, "num": num}
    return start + "".join(
        f"{option.format(key.upper() if made else key)}{value}" for key, value in given.items() if value is not None
    )


def run_specs(profile: Profile) -> list[RunSpec]:
    """Every run a profile names, in the order of its rows; a row on two benches is two."""
    found = []
    for group, about in profile.groups.items():
        for row in profile.only.get(group, list(profile.rows)):
            line = profile.rows[row]
            benches = dict.fromkeys(column.bench for column in profile.columns.values()) or {"": None}
            own = about.set.get("bench")  # a group of one bench has the columns of that bench
            benches = [bench for bench in benches if own is None or bench in ("", own)]
            for bench, point in itertools.product(benches, points({**about.over, **line.over})):
                given = {**profile.set, **about.set, **line.set, **point, **({"bench": bench} if bench else {})}
                name = str(given.get("bench", "shapes"))
                knobs = {key.removeprefix(STUDY): given.pop(key) for key in list(given) if key.startswith(STUDY)}
                found.append(RunSpec(group, row, line.label, name, given, line.where, line.match, knobs))
    return found


def points(over: Setting) -> Iterator[dict[str, Any]]:
    """Every combination of values, as settings; a key of several names, "seed, mask_seed", gives each of them the value."""
    for values in itertools.product(*over.values()):
        yield {name.strip(): value for keys, value in zip(over, values, strict=True) for name in keys.split(",")}


def word(value: Any) -> str:
    """A value as Hydra reads it on a command line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{word(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(word(inside) for inside in value) + "]"
    return str(value)

"""What was measured for a table or figure, as one JSON file: everything a reader needs, and nothing has to be run to print it.

schema, experiment, profile, num                        what it is of
made: {command, date, machine, torch, s2g,           how it was made; without `intervals`, these are over plain units,
       intervals}                                    which differ by their classes as well as by chance (balanced.py)
columns: {column: {label, higher, digits}}           how they are shown
rows: [{group, row, label, command, status,          a row of a group; status: run | not run | not built | why not
        keys: {bench: key}, against, n, units, runs,
        cells: {column: {value, low, high, delta: {value, low, high}, remarks}},
        effective_scale, evaluations, flops, seconds}]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from s2g.config.schema import read
from s2g.errors import UserError
from s2g.experiments.specification import command_of
from s2g.io.atomic import write_json
from s2g.io.json_files import load_json
from s2g.metrics.statistics import Estimate

SCHEMA = 1
RUN, NOT_RUN, NOT_BUILT = "run", "not run", "not built"


@dataclass(frozen=True)
class Cell:
    """A number with its 95 % interval, and its paired difference to the row that is compared with."""

    value: float | None
    low: float | None = None
    high: float | None = None
    delta: Mapping[str, Any] | None = None  # value, low, high
    remarks: tuple[str, ...] = ()  # what must be said beside it, such as that it is not comparable

    @staticmethod
    def of(found: Estimate, delta: Estimate | None, remarks: tuple[str, ...] = ()) -> Cell:
        """An estimate, to 6 digits."""
        return Cell(**numbers(found), delta=None if delta is None else numbers(delta), remarks=remarks)


@dataclass(frozen=True)
class ResultRow:
    """A row of one group."""

    group: str
    row: str
    label: str
    command: str
    status: str
    keys: Mapping[str, str] = field(default_factory=dict)  # bench -> the run's key
    against: str = ""  # the row its differences are taken to
    n: int = 0
    units: int = 0
    cells: Mapping[str, Any] = field(default_factory=dict)  # column -> a cell
    effective_scale: Mapping[str, Any] | None = None
    evaluations: float | None = None  # per item
    flops: float | None = None  # per item
    seconds: float | None = None  # per item, of the median unit
    runs: int = 1  # of which the row is a mean

    def cell(self, column: str) -> Cell | None:
        """A cell, None where there is none."""
        found = self.cells.get(column)
        return found if found is None or isinstance(found, Cell) else read(Cell, found, f"cells.{column}")


@dataclass(frozen=True)
class Results:
    """Everything measured for one experiment in one profile."""

    exhibit: str
    profile: str
    num: int | None  # what was asked for; None: the profile's own
    made: Mapping[str, Any]
    columns: Mapping[str, Any]  # column -> label, higher, digits
    rows: tuple[ResultRow, ...]

    def write(self, path: Path) -> None:
        """As JSON, atomically."""
        write_json(path, {"schema": SCHEMA, **asdict(self)})

    @staticmethod
    def load(path: Path, columns: Iterable[str] = ()) -> Results:
        """UserError for a file that is no result of this version, or has not all of the columns that are wanted."""
        again = command_of(path.stem.rpartition("-")[0])
        try:
            raw = load_json(path)
        except FileNotFoundError as error:
            raise UserError(f"{path}: nothing is measured yet", todo=again) from error
        except ValueError as error:
            raise UserError(f"{path}: cannot be read ({error})", todo="make it again") from error
        if raw.pop("schema", None) != SCHEMA:
            raise UserError(f"{path}: written by another version of S2G", todo="make it again")
        if lacking := [name for name in columns if name not in raw["columns"]]:
            raise UserError(f"{path}: written before it had a column {', '.join(lacking)}", todo=again)
        rows = tuple(read(ResultRow, row, f"rows.{at}") for at, row in enumerate(raw.pop("rows")))
        return Results(**raw, rows=rows)


def counts_of(results: Results) -> str:
    """Items of a row that was run, and how many rows were not."""
    counts = sorted({row.n for row in results.rows if row.status == RUN})
    lacking = sum(row.status != RUN for row in results.rows)
    more = f", {lacking} of {len(results.rows)} rows not run" if lacking else ""
    return f"n = {', '.join(map(str, counts))}{more}" if counts else "nothing was run"


def numbers(found: Estimate) -> dict[str, float | None]:
    """value, low, high to 6 digits; None for what is not a number."""
    shown = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if value is None or value != value else float(f"{value:.6g}") for name, value in shown.items()}

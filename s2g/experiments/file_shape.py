"""Shapes of the YAML files in experiments/: which keys there are at each level, and of what type their values are.

What a value may be beyond its type (names of columns, rows, groups; numbers per row) is checked where the file is read.
"""

from __future__ import annotations

from typing import (
    Any,
    Required,  # pydantic asks for this one below Python 3.12
)

from pydantic import ConfigDict
from typing_extensions import TypedDict

STRICT = ConfigDict(extra="forbid")
Settings = dict[str, Any]  # configuration key -> value, as typed on a command line
Values = dict[str, list[Any]]  # configuration key -> values


class ColumnShape(TypedDict, total=False):
    """A column; see `Column`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    metric: str
    bench: str
    label: str
    beside: str
    digits: int | None
    over: str
    scale: int | float


class RowShape(TypedDict, total=False):
    """A row, or what a profile changes of it; see `RowSpec`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    label: str
    set: Settings | None
    sweep: Values
    over: Values
    against: str
    match: Settings
    footnote: str
    like: str


class GroupShape(TypedDict, total=False):
    """A group of rows; see `Group`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    label: str
    set: Settings
    over: Values
    like: str


class ProfileShape(TypedDict, total=False):
    """What a profile runs; see `Profile`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    set: Settings | None
    groups: dict[str, GroupShape]
    columns: dict[str, ColumnShape]
    rows: dict[str, RowShape | None]
    without: list[str]
    against: str
    only: dict[str, list[str]]
    plot: Settings | None
    grid: Settings | None
    drawing: Settings | None
    study: str | None


class ExperimentShape(TypedDict, total=False):
    """A whole file."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    title: str
    source: str
    notes: list[str]
    remarks: list[str]
    columns: dict[str, ColumnShape]
    paper: dict[str, dict[str, list[int | float | None]]]
    rows: dict[str, RowShape]
    against: str
    profiles: dict[str, ProfileShape]
    printed: str
    study: str


class CheckShape(TypedDict, total=False):
    """A check of a claim; see `Check`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: Required[str]
    exhibit: Required[str]
    columns: Required[list[str]]
    rows: Required[list[str] | list[list[str]]]
    groups: list[str]
    margin: int | float
    at_most: int | float
    at_least: int | float


class ClaimShape(TypedDict, total=False):
    """A claim of claims.yaml and its checks in each profile."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    claim: Required[str]
    source: Required[str]
    tiny: list[CheckShape]
    real: list[CheckShape]
    paper: list[CheckShape]


class TunedRowShape(TypedDict, total=False):
    """A row whose knobs are chosen; see `tuning_specification.Row`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    guidance: Required[str]
    label: Required[str]
    knobs: Settings
    choose: Values
    like: str
    over: str
    match: Settings


class TuningShape(TypedDict, total=False):
    """A file for s2g tune."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    model: Required[str]
    bench: Required[str]
    against: Required[str]
    sampler: Settings
    tune: Required[Settings]
    report: Required[Settings]
    rows: Required[dict[str, TunedRowShape]]


class ChosenShape(TypedDict):
    """What s2g tune writes."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    made: Settings
    rows: dict[str, Settings]

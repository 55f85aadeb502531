"""Read experiments/*.yaml into an ExperimentSpec and check it for consistency."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from s2g.config.registry import DRAWINGS
from s2g.config.schema import read
from s2g.errors import UserError, unknown
from s2g.experiments.file_shape import ExperimentShape
from s2g.experiments.matching import MATCHES, check_match
from s2g.experiments.pooled import STATISTICS
from s2g.experiments.specification import (
    KINDS,
    PROFILES,
    Column,
    ExperimentSpec,
    Grid,
    Group,
    Plot,
    Profile,
    RowSpec,
    Setting,
    paper_number,
    points,
    word,
)
from s2g.experiments.yaml_lines import Located
from s2g.io.atomic import write_bytes
from s2g.io.input_files import is_litter
from s2g.io.text_files import read_text

TUNED = re.compile(r"^tune:", re.M)  # of a file for s2g tune


def read_experiment(path: Path) -> ExperimentSpec:
    """Read and check one experiment's YAML; UserError with file and line for a mistake."""
    file = Located.of(path)
    file.check(ExperimentShape)
    raw = dict(file.content)
    columns = {name: _column(file, about, "columns", name) for name, about in (raw.get("columns") or {}).items()}
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
        reason = raw.get("printed") or ""
        if bool(profiles) == bool(reason):
            raise UserError("profiles, or printed with the reason why there is nothing to run: one of the two is needed")
    remarks = tuple(raw.get("remarks") or ())
    notes, labels = tuple(raw.get("notes") or ()), {row: str(about.get("label", row)) for row, about in rows.items()}
    return ExperimentSpec(path.stem, raw["title"], raw["source"], notes, columns, paper, profiles, labels, reason, remarks)


def find_experiment(folder: Path, name: str) -> ExperimentSpec:
    """Read folder/NAME.yaml, or the file if `name` is a path to one; UserError with the nearest name if there is none."""
    if is_path(name):
        file = Path(name)
        if file.resolve().parent != folder.resolve() and file.stem in experiment_names(folder):
            raise UserError(f"{file}: {file.stem} is the name of an experiment of the paper", todo="rename your file")
        return read_experiment(file)
    names = experiment_names(folder)
    if name not in names:
        raise unknown("experiment", name, names, todo="experiments are read from a checkout" if not names else "")
    return read_experiment(folder / f"{name}.yaml")


def is_path(name: str) -> bool:
    """Return whether an experiment is given as a path instead of a name."""
    return name.endswith((".yaml", ".yml"))


def expand_panels(folder: Path, name: str) -> list[str]:
    """Return the name, or the panels of a figure without a file (fig7: fig7a, fig7b, ...); UserError if there are none."""
    names = experiment_names(folder)
    parts = [other for other in names if other[:-1] == name and paper_number(other) is not None]
    if is_path(name) or name in names or not parts:
        find_experiment(folder, name)
        return [name]
    return parts


def experiment_files(*folders: Path) -> dict[str, Path]:
    """Return the files of all experiments by name: the paper's by number (table1, ..., fig7a, ...), then others by name.

    Any .yaml is one, but for claims.yaml, knobs that were chosen, and files that say how knobs are tuned (s2g tune). Of two
    files of one name the first folder's counts.
    """
    paths = [path for folder in folders for path in sorted(folder.glob("*.yaml")) if path.name != "claims.yaml"]
    named: dict[str, Path] = {}
    for path in paths:
        if not (path.stem.endswith(".chosen") or is_litter(path.name) or TUNED.search(read_text(path, str(path)))):
            named.setdefault(path.stem, path)
    last = (len(KINDS), 0)
    return dict(sorted(named.items(), key=lambda item: (paper_number(item[0]) or last, item[0])))


def experiment_names(folder: Path) -> list[str]:
    """Return the names of all experiments in a folder, in the order of `experiment_files`."""
    return list(experiment_files(folder))


def keep_own_file(folder: Path, name: str, out: Path) -> None:
    """Copy an experiment that was given as a path to `out`, where `s2g tables` and `s2g report` find it beside its results."""
    if is_path(name) and Path(name).resolve().parent not in (folder.resolve(), out.resolve()):
        write_bytes(out / f"{Path(name).stem}.yaml", Path(name).read_bytes())


def load_drawing(raw: Mapping[str, Any]) -> Any:
    """Return a drawing (s2g/report/drawing.py) from its YAML; UserError for a kind or knob that does not exist."""
    if "kind" not in raw:
        raise UserError("drawing.kind: missing", allowed=", ".join(DRAWINGS))
    return read(DRAWINGS.load(str(raw["kind"])), {key: value for key, value in raw.items() if key != "kind"}, "drawing")


def _profile(
    file: Located, name: str, about: Setting, raw: Setting, columns: Mapping[str, Column], rows: Mapping[str, Setting]
) -> Profile:
    place = ("profiles", name)
    own = about.get("columns")
    shown = columns if own is None else {c: _column(file, a, *place, "columns", c) for c, a in own.items()}
    for column, values in shown.items():
        with file.at(*place, "columns", column):
            if values.beside and values.beside not in columns:
                raise unknown(f"columns.{column}.beside", values.beside, columns)
            if values.over and values.over not in STATISTICS:
                raise unknown(f"columns.{column}.over", values.over, STATISTICS)
    lines: dict[str, RowSpec] = {}
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
        lines.update(_swept(row, replace(file.read(RowSpec, merged, *where), where=file.place(*where))))
    groups = {g: file.read(Group, a, *place, "groups", g) for g, a in (about.get("groups") or {}).items()}
    against = about.get("against", raw.get("against", ""))
    limited = about.get("only") or {}
    study = about.get("study", raw.get("study")) or ""
    plot = file.read(Plot, about["plot"], *place, "plot") if about.get("plot") else None
    grid = file.read(Grid, about["grid"], *place, "grid") if about.get("grid") is not None else None
    drawing = about.get("drawing")
    if drawing is not None:
        with file.at(*place, "drawing"):
            load_drawing(drawing)
    for column in plot.y if plot else ():
        with file.at(*place, "plot"):
            if column not in shown:
                raise unknown(f"profiles.{name}.plot.y", str(column), shown)
    with file.at(*place):
        if against not in lines and not study:
            raise unknown("against", str(against), lines)
        for row, line in lines.items():
            if line.against and line.against not in lines:
                raise unknown(f"rows.{row.partition('@')[0]}.against", line.against, lines)
            _check_match(row, line, lines, {**(about.get("set") or {}), **line.set})
        for group in limited:
            if group not in groups:
                raise unknown(f"profiles.{name}.only", str(group), groups)
        for row in itertools.chain(*limited.values()):
            if row not in lines:
                raise unknown(f"profiles.{name}.only", str(row), lines)
    return Profile(name, about.get("set") or {}, groups, shown, lines, against, limited, plot, grid, drawing, study)


def _check_match(row: str, line: RowSpec, lines: Mapping[str, RowSpec], settings: Setting) -> None:
    key = f"rows.{row.partition('@')[0]}.match"
    check_match(line.match, key, str(settings.get("guidance", "s2")))
    for kind in set(MATCHES) & set(line.match):
        other = str(line.match[kind])
        if other not in lines:
            raise unknown(f"{key}.{kind}", other, lines)
        if lines[other].match:
            raise UserError(f"{key}.{kind} = {other}: that row is matched itself", allowed="a row without match")


def _column(file: Located, about: Setting, *keys: str) -> Column:
    return replace(file.read(Column, about, *keys), where=file.place(*keys))


def _swept(row: str, line: RowSpec) -> dict[str, RowSpec]:
    """A row for each point of its sweep, named ROW@VALUE; {} in its label stands for the value, which else comes after it."""
    if not line.sweep:
        return {row: line}
    made = {}
    for values, point in zip(itertools.product(*line.sweep.values()), points(line.sweep), strict=True):
        name = ",".join(word(value) for value in values)
        against = line.against and f"{line.against}@{name}"
        match = {kind: f"{other}@{name}" if kind in MATCHES else other for kind, other in line.match.items()}
        named = zip(line.sweep, values, strict=True)
        said = f", {name}" if len(values) == 1 else "".join(f", {_short(key)} {word(value)}" for key, value in named)
        if [len(value) for value in point.values() if isinstance(value, list)] == [1] == [len(point)]:  # block 3
            said = f" {values[0][0]}"
        label = line.label.replace("{}", name.strip("[]")) if "{}" in line.label else f"{line.label}{said}"
        before = line.label.partition("{}")[0].rstrip(" =,")  # "S², seed {}" is a series "S²"
        of = line.label if "{}" not in line.label else before.rpartition(",")[0] or before
        made[f"{row}@{name}"] = replace(
            line, label=label, set={**line.set, **point}, sweep={}, against=against, match=match, point_of=of
        )
    return made


def _short(key: str) -> str:
    """The last part of a configuration key, in words."""
    return key.rpartition(".")[2].replace("_", " ")

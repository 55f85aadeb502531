"""Rows of an experiment that is a study: numbers of networks themselves, over training seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from s2g.engine.resolve import Outline
from s2g.engine.run import Run
from s2g.errors import MissingError, unknown
from s2g.experiments.composition import named
from s2g.experiments.measure import keys_of
from s2g.experiments.results import RUN, Cell, ResultRow
from s2g.experiments.specification import ExperimentSpec, Profile, RunSpec, command_of
from s2g.experiments.studies.study import read_study
from s2g.metrics.statistics import over_seeds


def study_columns(profile: Profile, rows: Sequence[RunSpec]) -> dict[str, dict[str, Any]]:
    """Label, direction and digits of each column; UserError for a quantity that the study has not."""
    known = read_study(profile.study, rows[0].study).quantities
    found = {}
    for name, column in profile.columns.items():
        if column.metric not in known:
            raise unknown(f"{column.where}: columns.{name}.metric", column.metric, known)
        about = known[column.metric]
        digits = about.digits if column.digits is None else column.digits
        found[name] = {"label": column.label or about.label, "higher": about.higher, "digits": digits}
    return found


def lacking_data(profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run | Outline]) -> dict[int, MissingError]:
    """Return, of each run whose study looks at data that is not on this machine, the error that says how to get it."""
    found = {}
    for place, run in runs.items():
        try:
            with named(rows[place]):
                read_study(profile.study, rows[place].study).check(run)
        except MissingError as error:
            found[place] = error
    return found


def measure_study(
    experiment: ExperimentSpec,
    profile: Profile,
    rows: Sequence[RunSpec],
    runs: Mapping[int, Run | Outline],
    why: Mapping[int, str],
) -> tuple[ResultRow, ...]:
    """A line for each row: the mean over its runs (networks trained from other seeds) with its t interval."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, spec in enumerate(rows):
        places.setdefault((spec.group, spec.row), []).append(place)
    studies, values = {}, {}
    for place, run in runs.items():
        with named(rows[place]):
            studies[place] = read_study(profile.study, rows[place].study)
            values[place] = studies[place].measure(run)
    lines = []
    for (group, row), at in places.items():
        have = [place for place in at if place in values]
        reference = [p for p in places.get((group, profile.reference(row)), []) if p in values]
        cells = {}
        for name, column in profile.columns.items() if have else ():
            if any(column.metric not in values[place] for place in have):
                continue  # the network has no such thing
            own = [values[place][column.metric] for place in have]
            delta = None
            if profile.reference(row) not in ("", row) and len(reference) == len(have) > 1:
                other = [values[place][column.metric] for place in reference]
                delta = over_seeds([a - b for a, b in zip(own, other, strict=True)])
            cells[name] = Cell.of(over_seeds(own), delta)
        line = ResultRow(
            group,
            row,
            rows[at[0]].label,
            command_of(experiment.name),
            RUN if len(have) == len(at) else why[next(place for place in at if place in why)],
            keys_of(rows, {place: runs[place] for place in have}),
            profile.reference(row),
            studies[have[0]].count if have else 0,
            runs=len(have),
            cells=cells,
        )
        counted = values[have[0]] if have else {}
        if "evaluations" in counted:  # what tables say of every row, where a study counts it
            line = replace(line, evaluations=counted["evaluations"], flops=1e12 * counted["tflops"])
        lines.append(line)
    return tuple(lines)

"""Compare all methods: each at its chosen knobs, beside CFG of the same effective scale, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s2g import __version__
from s2g.engine.environment import machine
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.file_shape import ChosenShape
from s2g.experiments.results import numbers
from s2g.experiments.tuning import Produce, chosen_path
from s2g.experiments.tuning_specification import TuningSpec
from s2g.experiments.yaml_lines import Located
from s2g.metrics.balanced import WITHIN
from s2g.scoring.score import Score, difference


@dataclass(frozen=True)
class Entry:
    """A row's score, and that of CFG at the effective scale the row had on the tuning seed, where it has one."""

    label: str
    about: Mapping[str, Any]  # chosen: knobs, sampler, effective_scale
    score: Score
    twin: Score | None  # the compared row itself, where that is at this scale
    base: Score | None  # the row it stands over, where that is a row of its own


def read_chosen(path: Path, experiment: TuningSpec) -> tuple[TuningSpec, dict[str, Any]]:
    """Return the experiment without the rows that were not tuned yet, and the chosen knobs of the others.

    UserError if nothing was tuned, or not the row that all are compared with.
    """
    file = Located.of(chosen_path(path), todo=f"make tune-{path.stem}")
    file.check(ChosenShape)
    chosen = file.content["rows"]
    if experiment.against not in chosen:
        raise UserError(f"row {experiment.against}: nothing is chosen for it yet", todo=f"make tune-{path.stem}")
    return replace(experiment, rows={row: values for row, values in experiment.rows.items() if row in chosen}), chosen


def runs_of(
    experiment: TuningSpec, chosen: Mapping[str, Any], num: int
) -> tuple[dict[str, Run], dict[str, Run | None], dict[str, Run]]:
    """Return each row's run on the reporting seed, CFG's at its strength, and the distinct ones of both by key."""
    runs = {row: run_of(experiment, row, chosen[row], num) for row in experiment.rows}
    twins = {row: twin_of(experiment, row, chosen[row], num) for row in experiment.rows}
    return runs, twins, {run.key: run for run in (*runs.values(), *twins.values()) if run is not None}


def compare_methods(
    experiment: TuningSpec, chosen: Mapping[str, Any], num: int, produce: Produce
) -> tuple[dict[str, Entry], dict[str, Score]]:
    """Score every row, and CFG at its strength; return the entries, and the scores of all runs by key."""
    runs, twins, distinct = runs_of(experiment, chosen, num)
    scores = dict(zip(distinct, produce(list(distinct.values())), strict=True))
    entries = {}
    for row, values in experiment.rows.items():
        twin, base = twins[row], scores[runs[values.over].key] if values.over else None
        entries[row] = Entry(values.label, chosen[row], scores[runs[row].key], None if twin is None else scores[twin.key], base)
    return entries, scores


def run_of(experiment: TuningSpec, row: str, about: Mapping[str, Any], num: int) -> Run:
    """A row's run on the reporting seed."""
    return experiment.run(experiment.rows[row].guidance, about["knobs"], experiment.report, num, about["sampler"])


def twin_of(experiment: TuningSpec, row: str, about: Mapping[str, Any], num: int) -> Run | None:
    """CFG, with as many steps as it always has, at a row's effective scale: CFG's own is its scale, so nothing is sought.

    The scale is rounded to two digits, so that rows of nearly the same strength share a run. None where there is no scale.
    """
    if row == experiment.against or about["effective_scale"] is None:
        return None
    reference = experiment.rows[experiment.against]
    return experiment.run(reference.guidance, {"scale": round(about["effective_scale"], 2)}, experiment.report, num)


def results_of(experiment: TuningSpec, entries: Mapping[str, Entry], against: Score, command: str) -> dict[str, Any]:
    """The same as data, with every metric."""
    run = against.run
    return {
        "made": {
            "command": command,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": machine(),
            "s2g": __version__,
            "model": run.model.name,
            "bench": experiment.bench,
            "n": run.num,
            "units": len(run.units),
            "intervals": WITHIN,
            "seed": run.seed,
            "chosen_on": asdict(experiment.tune),
        },
        "rows": [{"row": row, **_as_data(entry, against)} for row, entry in entries.items()],
    }


def _as_data(entry: Entry, against: Score) -> dict[str, Any]:
    score, metrics = entry.score, entry.score.run.bench.metrics
    effective = score.effective
    data: dict[str, Any] = {
        "label": entry.label,
        "guidance": score.run.name,
        "knobs": entry.about["knobs"],
        "sampler": entry.about["sampler"],
        "key": score.run.key,
        "values": {m.name: numbers(score.estimates[m.name]) for m in metrics},
        "delta": {m.name: numbers(difference(m, score, against)) for m in metrics} if score is not against else None,
        "effective_scale": {
            **(numbers(effective.scale) if effective.scale else {}),
            "evaluations": effective.evaluations,
            "left_out": effective.left_out,
        },
        "evaluations": score.cost.evaluations,
        "flops_per_item": score.cost.flops,
        "seconds_per_item": score.cost.seconds,
    }
    if entry.base is not None:
        data["delta_to_base"] = {m.name: numbers(difference(m, score, entry.base)) for m in metrics}
    if entry.twin is not None:
        twin = entry.twin
        data["cfg_at_effective_scale"] = {
            "scale": twin.run.config["guidance"]["scale"],
            "key": twin.run.key,
            "values": {m.name: numbers(twin.estimates[m.name]) for m in metrics},
            "delta": {m.name: numbers(difference(m, score, twin)) for m in metrics},
        }
    return data

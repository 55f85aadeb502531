"""The shelf in one table: every method at its preset, and beside CFG of the same strength."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from s2g import __version__
from s2g.config.schema import ExecutorConfig
from s2g.engine.bench import Metric
from s2g.engine.environment import machine
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.tuning import Laboratory, chosen_path, words
from s2g.experiments.tuning_specification import TuningSpec, read_tuning, read_yaml
from s2g.io.atomic import write_bytes, write_json
from s2g.metrics.statistics import Estimate
from s2g.report.tables import console_table, heading, leaves_out_zero, markdown_table, scale_of, stacked, with_interval
from s2g.scoring.score import Score, difference

COMPARED = ("joint", "fd")  # metrics whose differences have columns
ASIDE = ("precision", "recall", "diversity")  # and what stands beside them in Markdown


@dataclass(frozen=True)
class Entry:
    """A row's score, and that of CFG at the effective scale the row had on the tuning seed, where it has one."""

    label: str
    about: Mapping[str, Any]  # chosen: knobs, sampler, effective_scale
    score: Score
    twin: Score | None
    base: Score | None  # the row it stands over, where that is a row of its own


def make_methods(path: Path, num: int | None, root: str, out: Path, workers: int | None, command: str) -> None:
    """Sample and score every row of an experiment's YAML on the reporting seed; write the table as Markdown and JSON."""
    began = time.perf_counter()
    experiment, console = read_tuning(path), Console(highlight=False)
    chosen = read_yaml(chosen_path(path))["rows"]
    lacking = [row for row in experiment.rows if row not in chosen]
    if lacking:
        raise UserError(f"rows {', '.join(lacking)}: nothing is chosen for them yet", todo=f"make tune-{path.stem}")
    num = num or experiment.report.num
    runs = {row: run_of(experiment, row, chosen[row], num) for row in experiment.rows}
    twins = {row: twin_of(experiment, row, chosen[row], num) for row in experiment.rows}
    console.print(f"{len(runs)} rows and CFG at the same strength, {num} items each, seed {experiment.report.seed}")
    with LocalExecutor(ExecutorConfig(workers=workers)) as executor:
        wanted = {run.key: run for run in (*runs.values(), *twins.values()) if run is not None}
        found = {s.run.key: s for s in Laboratory(executor, root, console).scores(list(wanted.values()))}
    entries = {}
    for row, values in experiment.rows.items():
        twin = twins[row] if twins[row] != runs[experiment.against] else None  # it is there already
        base = found[runs[values.over].key] if values.over else None
        entries[row] = Entry(values.label, chosen[row], found[runs[row].key], None if twin is None else found[twin.key], base)
    against = entries[experiment.against].score
    console.print(console_table(*console_rows(entries, against)))
    note = note_of(experiment, against, command)
    table = markdown_table(*table_of(entries, against))
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"{path.stem}-tiny"
    write_bytes(stem.with_suffix(".md"), f"{table}\n{note}\n".encode())
    write_json(stem.with_suffix(".json"), results_of(experiment, entries, against, command))
    write_json(out / f"{stem.name}.runs.json", {"runs": sorted(found)})  # what of the store the table speaks of
    console.print(f"{note}\n{time.perf_counter() - began:.0f} s. {stem}.md, {stem}.json", soft_wrap=True)


def run_of(experiment: TuningSpec, row: str, about: Mapping[str, Any], num: int) -> Run:
    """A row's run on the reporting seed."""
    return experiment.run(experiment.rows[row].guidance, about["knobs"], experiment.report, num, about["sampler"])


def twin_of(experiment: TuningSpec, row: str, about: Mapping[str, Any], num: int) -> Run | None:
    """CFG, with as many steps as it always has, at a row's effective scale: CFG's own is its scale, so nothing is sought."""
    if row == experiment.against or about["effective_scale"] is None:
        return None
    reference = experiment.rows[experiment.against]
    return experiment.run(reference.guidance, {"scale": round(about["effective_scale"], 2)}, experiment.report, num)


def console_rows(entries: Mapping[str, Entry], against: Score) -> tuple[list[str], list[list[str]]]:
    """What 80 columns have room for: the compared metrics, the effective scale, the cost, and the last one's differences."""
    compared = [metric for metric in against.run.bench.metrics if metric.name in COMPARED]
    last = compared[-1]
    names = [*(heading(m) for m in compared), "eff. scale", "FLOPs", f"Δ {last.label}", "Δ at eff. scale"]
    head = ["", *(stacked(name) for name in names)]
    lines = [
        [
            entry.label,
            *(with_interval(entry.score.estimates[m.name], m.digits) for m in compared),
            "–" if entry.score.effective.scale is None else f"{entry.score.effective.value:.2f}",
            f"{entry.score.cost.flops / against.cost.flops:.2f}",
            _difference(last, entry.score, against),
            _difference(last, entry.score, entry.twin),
        ]
        for entry in entries.values()
    ]
    return head, lines


def table_of(entries: Mapping[str, Entry], against: Score) -> tuple[list[str], list[list[str]]]:
    """A line a row: values, effective scale, cost, differences to CFG at its preset and at the row's strength."""
    by_name = {metric.name: metric for metric in against.run.bench.metrics}
    compared = [by_name[name] for name in COMPARED]
    shown = [*compared, *(by_name[name] for name in ASIDE)]
    head = ["", *(heading(m) for m in shown), "eff. scale", "calls", "FLOPs", *(f"Δ {m.label}" for m in compared)]
    head += [f"CFG at eff. scale: {compared[-1].label}", *(f"Δ {m.label} to that" for m in compared)]
    lines = []
    for entry in entries.values():
        score, cost, twin = entry.score, entry.score.cost, entry.twin
        knobs = words({**entry.about["knobs"], **entry.about["sampler"]})
        lines.append(
            [
                f"{entry.label} ({knobs})" if knobs else entry.label,
                *(with_interval(score.estimates[m.name], m.digits) for m in shown),
                scale_of(score.effective),
                f"{cost.evaluations:g}",
                f"{cost.flops / against.cost.flops:.2f}",
                *(_difference(m, score, against, bold=True) for m in compared),
                "" if twin is None else with_interval(twin.estimates[compared[-1].name], compared[-1].digits),
                *(_difference(m, score, twin, bold=True) for m in compared),
            ]
        )
    return head, lines


def _difference(metric: Metric, score: Score, other: Score | None, bold: bool = False) -> str:
    if other is None or other.run.key == score.run.key:
        return ""
    found = difference(metric, score, other)
    text = with_interval(found, metric.digits, sign=True)
    return f"**{text}**" if bold and leaves_out_zero(found) else text


def note_of(experiment: TuningSpec, against: Score, command: str) -> str:
    """What the numbers are, and are not."""
    run, tune = against.run, experiment.tune
    return (
        f"Model {run.model.name} (32x32, built in), n = {run.num}, seed {run.seed}; knobs chosen by {tune.metric} on seed "
        f"{tune.seed} with {tune.num} items. ± is half a 95 % interval over {len(run.units)} units; Δ is paired on the same "
        f"noise, to CFG at its preset and to CFG at the effective scale that the row had on seed {tune.seed}; in bold where "
        f"the interval leaves out 0. FLOPs are relative to CFG. No number here is an ImageNet number. {command}, "
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}."
    )


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
        "values": {m.name: _numbers(score.estimates[m.name]) for m in metrics},
        "delta": {m.name: _numbers(difference(m, score, against)) for m in metrics} if score is not against else None,
        "effective_scale": {
            **(_numbers(effective.scale) if effective.scale else {}),
            "evaluations": effective.evaluations,
            "left_out": effective.left_out,
        },
        "evaluations": score.cost.evaluations,
        "flops_per_item": score.cost.flops,
        "seconds_per_item": score.cost.seconds,
    }
    if entry.base is not None:
        data["delta_to_base"] = {m.name: _numbers(difference(m, score, entry.base)) for m in metrics}
    if entry.twin is not None:
        twin = entry.twin
        data["cfg_at_effective_scale"] = {
            "scale": describe_scale(twin),
            "key": twin.run.key,
            "values": {m.name: _numbers(twin.estimates[m.name]) for m in metrics},
            "delta": {m.name: _numbers(difference(m, score, twin)) for m in metrics},
        }
    return data


def describe_scale(score: Score) -> float:
    """The scale of a CFG run."""
    return score.run.config["guidance"]["scale"]


def _numbers(estimate: Estimate) -> dict[str, float | None]:
    return {
        k: None if v is None or v != v else float(f"{v:.6g}")
        for k, v in (("value", estimate.value), ("low", estimate.low), ("high", estimate.high))
    }

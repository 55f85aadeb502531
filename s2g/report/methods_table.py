"""The comparison of methods as a Table, from the results of `make methods`, and the table of what tuning tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rich.table import Table as RichTable

from s2g.config.registry import BENCHES
from s2g.engine.bench import Metric
from s2g.engine.environment import machine
from s2g.experiments.tuning import Choice
from s2g.experiments.tuning_specification import Knobs, TuningSpec
from s2g.metrics.statistics import Estimate
from s2g.report.number_text import heading, interval_note, relative_flops, scale_of, with_interval
from s2g.report.tables import Cell, Column, Row, Table, console_table
from s2g.scoring.score import Score

COMPARED = ("joint", "accuracy", "fd")  # metrics whose differences have columns, where the bench has them
ASIDE = ("precision", "recall", "diversity", "kd")  # further columns
EQUAL = "Δ equal strength"  # heading of the difference to CFG at a row's own effective scale, where room is short
NO_SCALE = "no scale"  # of a row that cannot be held against CFG of equal strength
Results = Mapping[str, Any]  # what s2g/experiments/methods.py writes: made, rows


def methods_table(results: Results, knobs: bool = False) -> Table:
    """Return a line for each row: values, differences to CFG at its preset and to CFG of equal strength, scale and cost.

    knobs: whether they stand after the row's label.
    """
    metrics = metrics_of(results)
    compared, aside = named(COMPARED, metrics), named(ASIDE, metrics)
    columns = []
    for metric in compared:
        group = heading(metric)
        columns.append(Column(group, "value", metric.name, group, "value", rule=True))
        columns.append(Column(f"Δ {metric.label}", "delta", metric.name, group, "Δ to CFG"))
        columns.append(Column(f"Δ {metric.label}, equal strength", "delta", metric.name, group, "Δ to CFG of equal strength"))
    columns += [Column(heading(metric), "value", metric.name, rule=metric is aside[0]) for metric in aside]
    columns += [Column("eff. scale", "cost", rule=True), Column("calls", "cost"), Column("FLOPs", "cost")]
    against, rows = against_of(results), []
    for row in results["rows"]:
        cells = []
        for metric in compared:
            cells.append(Cell.number(estimate_of(row["values"][metric.name]), metric.digits))
            for delta in (row["delta"], delta_at_equal_strength(row)):
                cells.append(Cell.difference(None if delta is None else estimate_of(delta[metric.name]), metric.digits))
            if row["delta"] is not None and "value" not in row["effective_scale"]:
                cells[-1] = Cell(NO_SCALE, missing=True)
        cells += [Cell.number(estimate_of(row["values"][metric.name]), metric.digits) for metric in aside]
        cost = f"{row['evaluations']:g}", relative_flops(row["flops_per_item"], against["flops_per_item"])
        cells += map(Cell, (scale_in_words(row["effective_scale"]), *cost))
        typed = words({**row["knobs"], **row["sampler"]}) if knobs else ""
        rows.append(Row(f"{row['label']} ({typed})" if typed else row["label"], cells))
    return Table(columns, rows)


def short_table(table: Table) -> Table:
    """Return what 80 letters have room for: the compared metrics, the last one's differences, scale and FLOPs."""
    last = max(at for at, column in enumerate(table.columns) if column.kind == "delta")
    values = [at for at, column in enumerate(table.columns) if column.kind == "value" and at < last]
    costs = [at for at, column in enumerate(table.columns) if column.label in ("eff. scale", "FLOPs")]
    table = replace(table, columns=[replace(c, label=EQUAL) if at == last else c for at, c in enumerate(table.columns)])
    return table.take([*values, last - 1, last, *costs])


def metrics_of(results: Results) -> tuple[Metric, ...]:
    """Return the metrics of the results' bench."""
    return BENCHES.load(results["made"]["bench"])().metrics


def against_of(results: Results) -> Mapping[str, Any]:
    """Return the row that all are compared with."""
    return next(row for row in results["rows"] if row["delta"] is None)


def delta_at_equal_strength(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a row's differences to CFG at its own effective scale, by metric; None where it has no scale, and for CFG.

    Older results leave them out where that CFG is the compared row: they are those to it then.
    """
    if "value" not in row["effective_scale"]:
        return None
    twin = row.get("cfg_at_effective_scale")
    return row["delta"] if twin is None else twin["delta"]


def estimate_of(numbers: Mapping[str, Any]) -> Estimate:
    """Return a stored number with its interval."""
    value = numbers["value"]
    return Estimate(float("nan") if value is None else value, numbers["low"], numbers["high"], 0)


def scale_in_words(effective: Mapping[str, Any]) -> str:
    """Return a row's effective scale, and over how many evaluations it is where they are not all; a dash for none."""
    if "value" not in effective:
        return "–"
    counted, whole = (round(n, 1) for n in (effective["evaluations"] - effective["left_out"], effective["evaluations"]))
    return f"{effective['value']:.2f}" + (f" ({counted:g}/{whole:g})" if counted < whole else "")


def named(names: Sequence[str], metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics of those names, in the order of the names."""
    found = {metric.name: metric for metric in metrics}
    return [found[name] for name in names if name in found]


def note_of(experiment: TuningSpec, against: Score, command: str) -> str:
    """What the numbers are, and are not."""
    run, tune = against.run, experiment.tune
    return (
        f"Model {run.model.name} ({run.model.resolution}x{run.model.resolution}, built in), n = {run.num}, seed {run.seed}; "
        f"knobs chosen by {tune.metric} on seed {tune.seed} with {tune.num} items. {interval_note(run)}. {HOW_TO_READ} "
        f"The equal scale is the one the row had on seed {tune.seed}. FLOPs are relative to CFG. No number here is an "
        f"ImageNet number. {command}, {datetime.now(UTC):%Y-%m-%d}, {machine()}."
    )


HOW_TO_READ = (
    "Δ is to CFG at its preset, and to CFG at the row's own effective scale (equal strength), paired on the same noise, bold "
    "where the interval leaves out 0 (no correction for the number of rows). A scale (n/m) is a mean over the n of m "
    "evaluations that have an unconditional prediction; a row without one has no scale to be compared at."
)


def tried_table(label: str, choice: Choice) -> RichTable:
    """Return what was tried for one row as a table; an arrow marks what was chosen."""
    metrics = [metric for metric in choice.scores[0].run.bench.metrics if metric.main]
    lines = [
        [
            ("→ " if index == choice.best else "  ") + words({**about["knobs"], **about["sampler"]}),
            *(with_interval(score.estimates[metric.name], metric.digits) for metric in metrics),
            scale_of(score.effective),
        ]
        for index, (about, score) in enumerate(zip(choice.tried, choice.scores, strict=True))
    ]
    return console_table([label, *(heading(metric) for metric in metrics), "eff. scale"], lines)


def words(knobs: Knobs) -> str:
    """Return knobs as they are typed on a command line."""
    return " ".join(f"{name}={value}" for name, value in knobs.items() if not isinstance(value, Mapping))

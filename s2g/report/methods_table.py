"""Tables of the comparison of methods, and of what tuning tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.table import Table

from s2g.engine.bench import Metric
from s2g.engine.environment import machine
from s2g.experiments.methods import Entry
from s2g.experiments.tuning import Choice
from s2g.experiments.tuning_specification import Knobs, TuningSpec
from s2g.report.number_text import heading, interval_note, leaves_out_zero, relative_flops, scale_of, stacked, with_interval
from s2g.report.tables import console_table
from s2g.scoring.score import Score, difference

COMPARED = ("joint", "accuracy", "fd")  # metrics whose differences have columns, where the bench has them
ASIDE = ("precision", "recall", "diversity", "kd")  # further columns in Markdown


def console_rows(entries: Mapping[str, Entry], against: Score) -> tuple[list[str], list[list[str]]]:
    """What 80 columns have room for: the compared metrics, the effective scale, the cost, and the last one's differences."""
    compared = named(COMPARED, against.run.bench.metrics)
    last = compared[-1]
    names = [*(heading(m) for m in compared), "eff. scale", "FLOPs", f"Δ {last.label}", "Δ at eff. scale"]
    head = ["", *(stacked(name) for name in names)]
    lines = [
        [
            entry.label,
            *(with_interval(entry.score.estimates[m.name], m.digits) for m in compared),
            "–" if entry.score.effective.scale is None else f"{entry.score.effective.value:.2f}",
            relative_flops(entry.score.cost.flops, against.cost.flops),
            _difference(last, entry.score, against),
            _difference(last, entry.score, entry.twin),
        ]
        for entry in entries.values()
    ]
    return head, lines


def table_of(entries: Mapping[str, Entry], against: Score) -> tuple[list[str], list[list[str]]]:
    """A line a row: values, effective scale, cost, differences to CFG at its preset and at the row's strength."""
    compared = named(COMPARED, against.run.bench.metrics)
    shown = [*compared, *named(ASIDE, against.run.bench.metrics)]
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
                relative_flops(cost.flops, against.cost.flops),
                *(_difference(m, score, against, bold=True) for m in compared),
                "" if twin is None else with_interval(twin.estimates[compared[-1].name], compared[-1].digits),
                *(_difference(m, score, twin, bold=True) for m in compared),
            ]
        )
    return head, lines


def named(names: Sequence[str], metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics of those names, in the order of the names."""
    found = {metric.name: metric for metric in metrics}
    return [found[name] for name in names if name in found]


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
        f"Model {run.model.name} ({run.model.resolution}x{run.model.resolution}, built in), n = {run.num}, seed {run.seed}; "
        f"knobs chosen by {tune.metric} on seed {tune.seed} with {tune.num} items. {interval_note(run)}; Δ is paired "
        f"on the same noise, to CFG at its preset and to CFG at the effective scale that the row had on seed {tune.seed}; in "
        f"bold where the interval leaves out 0. FLOPs are relative to CFG. No number here is an ImageNet number. {command}, "
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}."
    )


def tried_table(label: str, choice: Choice) -> Table:
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

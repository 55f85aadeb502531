"""Print a sweep as one table, by the knobs that differ, and as means over seeds if seeds were swept."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from s2g.metrics.statistics import over_seeds
from s2g.report.tables import console_table, heading, stacked, with_interval
from s2g.scoring.score import Score

SEEDS = ("seed", "mask_seed")
Row = tuple[dict[str, str], Score]  # overrides and their score


def show_sweep(rows: Sequence[Row], console: Console) -> None:
    """Print a row per run, and a row per setting that was run with several seeds."""
    knobs = swept(rows)
    numbers: dict[tuple[str, int], int] = {}
    for _, score in rows:
        numbers.setdefault((score.run.key, score.run.num), len(numbers) + 1)
    console.print(runs_table(rows, knobs, numbers))
    if len(numbers) < len(rows):
        console.print("rows with the same number in the last column are the same run: their configurations are equal")
    for remark, runs in remarked(rows, numbers).items():
        which = "" if len(runs) == len(numbers) else f"run {', '.join(map(str, runs))}: "
        console.print(f"{which}{remark}", soft_wrap=True, markup=False)
    if any(name in knobs for name in SEEDS):
        table = seeds_table(rows, [name for name in knobs if name not in SEEDS])
        if table is not None:
            console.print(table)
            console.print("mean over seeds, ± half-width of a 95 % t interval over seeds (3 or more)")


def remarked(rows: Sequence[Row], numbers: dict[tuple[str, int], int]) -> dict[str, list[int]]:
    """Return the remarks on scores, and the numbers of the distinct runs they are about."""
    numbers_of: dict[str, list[int]] = {}
    for _, score in rows:
        number = numbers[score.run.key, score.run.num]
        for remark in score.remarks:
            if number not in numbers_of.setdefault(remark, []):
                numbers_of[remark].append(number)
    return numbers_of


def swept(rows: Sequence[Row]) -> list[str]:
    """Return the names of the knobs that differ between rows, in the order typed."""
    names = dict.fromkeys(name for overrides, _ in rows for name in overrides)
    return [name for name in names if len({overrides.get(name) for overrides, _ in rows}) > 1]


def runs_table(rows: Sequence[Row], knobs: list[str], numbers: dict[tuple[str, int], int]) -> Table:
    """Return a row per override set: knobs, main metrics, effective guidance scale, number of the distinct run."""
    metrics = [metric for metric in rows[0][1].run.bench.metrics if metric.main]
    lines = [
        [
            *(overrides.get(name, "") for name in knobs),
            *(with_interval(score.estimates[metric.name], metric.digits) for metric in metrics),
            "–" if score.effective.scale is None else f"{score.effective.value:.2f}",
            str(numbers[score.run.key, score.run.num]),
        ]
        for overrides, score in rows
    ]
    return console_table([*short(knobs), *(stacked(heading(metric)) for metric in metrics), "eff.\nscale", "run"], lines)


def seeds_table(rows: Sequence[Row], knobs: list[str]) -> Table | None:
    """Return a row per setting with at least two different runs: mean over runs, interval and count; None if there are none."""
    metrics = [metric for metric in rows[0][1].run.bench.metrics if metric.main]
    groups: dict[tuple[str, ...], dict[str, Score]] = {}
    for overrides, score in rows:
        groups.setdefault(tuple(overrides.get(name, "") for name in knobs), {})[score.run.key] = score
    lines = []
    for setting, scores in groups.items():
        if len(scores) > 1:
            means = [over_seeds([score.estimates[m.name].value for score in scores.values()]) for m in metrics]
            shown = [with_interval(mean, metric.digits) for mean, metric in zip(means, metrics, strict=True)]
            lines.append([*setting, *shown, str(len(scores))])
    return console_table([*short(knobs), *(stacked(heading(m)) for m in metrics), "seeds"], lines) if lines else None


def short(knobs: list[str]) -> list[str]:
    """Return the last part of each name, if these are distinct; else the names."""
    last = [name.rpartition(".")[2] for name in knobs]
    return last if len(set(last)) == len(last) else knobs

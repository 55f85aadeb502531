"""Scores as tables, on the console and in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from s2g.engine.bench import Metric
from s2g.metrics.statistics import Estimate
from s2g.scoring.score import Cost, Effective


def with_interval(estimate: Estimate, digits: int, sign: bool = False) -> str:
    """A value with half its 95 % interval: "84.4±3.1"; the value alone where there is no interval, a dash if it is none.

    Where the interval ends at the value, the side it is on: "100.0−1.2".
    """
    if math.isnan(estimate.value):
        return "–"
    value = f"{estimate.value:{'+' if sign else ''}.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    below, above = (f"{abs(end - estimate.value):.{digits}f}" for end in (estimate.low, estimate.high))
    if estimate.low < estimate.high and estimate.value in (estimate.low, estimate.high):
        return f"{value}−{below}" if estimate.value == estimate.high else f"{value}+{above}"
    return f"{value}±{(estimate.high - estimate.low) / 2:.{digits}f}"


def heading(metric: Metric) -> str:
    """A metric's label with an arrow to where better lies, if it lies anywhere."""
    return metric.label if metric.higher is None else f"{metric.label} {'↑' if metric.higher else '↓'}"


def stacked(name: str) -> str:
    """A heading on two lines, broken at its first space, or after a Δ's name: columns of numbers are narrow."""
    return "\n".join(name.rsplit(" ", 1) if name.startswith("Δ") else name.split(" ", 1))


def leaves_out_zero(estimate: Estimate) -> bool:
    """Whether a difference's interval is there and does not hold 0."""
    return estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)


def cost_line(cost: Cost) -> str:
    """What an item cost, in words."""
    return (
        f"per item: {cost.evaluations:g} network evaluations, {cost.flops / 1e9:.2f} GFLOP, {1000 * cost.seconds:.0f} ms "
        f"({100 * cost.outside:.0f} % outside the network); peak memory {cost.peak_memory / 2**20:.0f} MiB"
    )


def scale_of(effective: Effective) -> str:
    """An effective guidance scale with its interval; a dash where there is no uncond branch to measure it against."""
    return "–" if effective.scale is None else with_interval(effective.scale, 2)


def scale_line(effective: Effective) -> str:
    """The effective guidance scale in words; nothing where it was not recorded."""
    if not effective.evaluations:
        return ""
    if effective.scale is None:
        return "effective guidance scale: none, there is no unconditional prediction to measure it against"
    counted, whole = (f"{round(count, 1):g}" for count in (effective.evaluations - effective.left_out, effective.evaluations))
    of = f"over {counted} of {whole} evaluations"
    left = ", the others have no unconditional prediction" if effective.left_out else ""
    return f"effective guidance scale: {scale_of(effective)} ({of}{left})"


def console_table(head: Sequence[str], rows: Sequence[Sequence[str | Text]], left: bool = False) -> Table:
    """A plain table; the first column reads from the left, numbers from the right (`left`: all of them are words)."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if left or place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def flat(value: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Nested settings as (dotted name, value) pairs, in their own order."""
    pairs = []
    for key, inside in value.items():
        pairs += flat(inside, f"{above}{key}.") if isinstance(inside, Mapping) else [(f"{above}{key}", inside)]
    return pairs

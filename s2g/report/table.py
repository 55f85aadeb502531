"""Scores as tables, on the console and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from s2g.engine.bench import Metric
from s2g.metrics.statistics import Estimate


def with_interval(estimate: Estimate, digits: int, sign: bool = False) -> str:
    """A value with half its 95 % interval: "84.4±3.1"; the value alone where there is no interval."""
    value = f"{estimate.value:{'+' if sign else ''}.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value}±{(estimate.high - estimate.low) / 2:.{digits}f}"


def heading(metric: Metric) -> str:
    """A metric's label with an arrow to where better lies."""
    return f"{metric.label} {'↑' if metric.higher else '↓'}"


def console_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: bool = False) -> Table:
    """A plain table; the first column reads from the left, numbers from the right (`left`: all of them are words)."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
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

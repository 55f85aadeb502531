"""One table model and its renderers: console, Markdown, CSV and LaTeX; HTML is html/templates/table.html.j2."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from s2g.engine.bench import Metric
from s2g.engine.run import Run
from s2g.metrics.balanced import turns
from s2g.metrics.statistics import FEWEST_UNITS, Estimate
from s2g.scoring.score import Cost, Effective, units_of

SYMMETRIC = 0.1  # of half an interval: how far its middle may lie from the value and "±" still be true
Kind = Literal["value", "delta", "paper", "cost"]
LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "Δ": r"$\Delta$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "²": r"$^2$", "†": r"$^\dagger$", "–": "--", "−": "$-$", "ω": r"$\omega$", "λ": r"$\lambda$",
    "×": r"$\times$",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of numbers; `key` joins a metric's value, its difference and the paper's number."""

    label: str
    kind: Kind = "value"
    key: str = ""
    group: str = ""  # HTML: heading above adjacent columns
    short: str = ""  # HTML: label below that heading; default: `label`
    rule: bool = False  # HTML: vertical rule before the column

    @property
    def sublabel(self) -> str:
        """Return the label to show below the group's heading."""
        return self.short or self.label


@dataclass(frozen=True)
class Cell:
    """A formatted number (or a word), the estimate behind it, and what must be said beside it."""

    text: str = ""
    estimate: Estimate | None = None
    remarks: tuple[str, ...] = ()
    bold: bool = False  # a difference whose interval excludes 0
    missing: bool = False  # text says why there is no number

    @staticmethod
    def number(estimate: Estimate, digits: int, remarks: tuple[str, ...] = ()) -> Cell:
        """Return a value with half its interval."""
        return Cell(with_interval(estimate, digits), estimate, remarks)

    @staticmethod
    def difference(estimate: Estimate | None, digits: int) -> Cell:
        """Return a signed difference, bold if its interval excludes 0; empty for None."""
        if estimate is None:
            return Cell()
        return Cell(with_interval(estimate, digits, sign=True), estimate, bold=leaves_out_zero(estimate))


@dataclass(frozen=True)
class Row:
    """A row: its label and one cell per column."""

    label: str
    cells: Sequence[Cell]
    fields: Mapping[str, Any] = field(default_factory=dict)  # CSV: group, row, label, status, n
    link: str = ""  # HTML: target of the label
    rule: bool = False  # HTML: horizontal rule above the row


@dataclass(frozen=True)
class Table:
    """Columns and rows; the first column holds row labels and has the heading `corner`."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    corner: str = ""

    @staticmethod
    def plain(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
        """Return a table of text; the first column holds row labels."""
        return Table([Column(name) for name in head[1:]], [Row(row[0], list(map(Cell, row[1:]))) for row in rows], head[0])

    @property
    def head(self) -> list[str]:
        """Return all headings, the corner first."""
        return [self.corner, *(column.label for column in self.columns)]

    @property
    def groups(self) -> list[tuple[str, int, bool]]:
        """Return (heading, number of columns, has a rule before it) of adjacent columns; [] if no column is in a group."""
        starts = [at for at, c in enumerate(self.columns) if not at or c.rule or c.group != self.columns[at - 1].group]
        spans = zip(starts, [*starts[1:], len(self.columns)], strict=True)
        found = [(self.columns[start].group, stop - start, self.columns[start].rule) for start, stop in spans]
        return found if any(name for name, _, _ in found) else []

    @property
    def remarks(self) -> list[str]:
        """Return the distinct remarks of all cells; cells refer to them by number, starting at 1."""
        return list(dict.fromkeys(remark for row in self.rows for cell in row.cells for remark in cell.remarks))

    @property
    def numbered_remarks(self) -> list[str]:
        """Return "[1] remark." for each remark."""
        return [f"[{number}] {remark}." for number, remark in enumerate(self.remarks, 1)]

    def body(self, bold: Callable[[str], Any] = str) -> list[list[Any]]:
        """Return rows of text, labels first, remark numbers appended; `bold` marks up bold cells."""
        number = {remark: f"[{at}]" for at, remark in enumerate(self.remarks, 1)}

        def shown(cell: Cell) -> Any:
            text = " ".join([cell.text, *(number[remark] for remark in cell.remarks)])
            return bold(text) if cell.bold else text

        return [[row.label, *map(shown, row.cells)] for row in self.rows]

    def take(self, indices: Iterable[int]) -> Table:
        """Return the table with the columns at `indices` only."""
        kept = list(indices)
        rows = [replace(row, cells=[row.cells[at] for at in kept]) for row in self.rows]
        return replace(self, columns=[self.columns[at] for at in kept], rows=rows)

    def without_empty_columns(self) -> Table:
        """Return the table without columns whose cells are all empty."""
        return self.take(at for at in range(len(self.columns)) if any(row.cells[at].text for row in self.rows))


def to_console(table: Table) -> RichTable:
    """Render for a terminal; headings are broken over two lines, the paper's columns are called "paper"."""
    rows = table.body(lambda text: Text(text, "bold"))
    return console_table(_console_head(table), [[c if isinstance(c, Text) else Text(c) for c in row] for row in rows])


def console_width(table: Table) -> int:
    """Return the letters a line of `to_console` takes: two stand between columns."""
    columns = zip(_console_head(table), *table.body(), strict=True)
    return sum(2 + max(len(line) for text in column for line in text.split("\n")) for column in columns)


def _console_head(table: Table) -> list[str]:
    return [table.corner, *("paper" if c.kind == "paper" else stacked(c.label) for c in table.columns)]


def to_markdown(table: Table) -> str:
    """Render as a Markdown table, bold as **text**."""
    return markdown_table(table.head, table.body(lambda text: f"**{text}**"))


def to_latex(table: Table, comments: Sequence[str] = ()) -> str:
    """Render as a booktabs tabular below `comments`."""
    head, *body = (" & ".join(map(latex, line)) + r" \\" for line in [table.head, *table.body()])
    frame = [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule", head, r"\midrule"]
    return "\n".join([*(f"% {line}" for line in comments), *frame, *body, r"\bottomrule", r"\end{tabular}", ""])


def to_csv(table: Table) -> str:
    """Render in long form: a line per row and metric, with value, difference, their intervals and the paper's number."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = ["group", "row", "label", "column", "status", "value", "low", "high", "delta", "delta_low", "delta_high"]
    writer.writerow([*names, "paper", "n", "remarks"])
    for row in table.rows:
        cells = {(column.key, column.kind): cell for column, cell in zip(table.columns, row.cells, strict=True)}
        for key in dict.fromkeys(column.key for column in table.columns if column.kind == "value"):
            value, delta, paper = (cells.get((key, kind), Cell()) for kind in ("value", "delta", "paper"))
            numbers = [*_numbers(value.estimate), *_numbers(delta.estimate)]
            first = [row.fields["group"], row.fields["row"], row.fields["label"], key, row.fields["status"]]
            writer.writerow([*first, *numbers, paper.text, row.fields["n"] or "", " | ".join(value.remarks)])
    return stream.getvalue()


def _numbers(estimate: Estimate | None) -> list[float | str]:
    if estimate is None:
        return [""] * 3
    return ["" if v is None or v != v else v for v in (estimate.value, estimate.low, estimate.high)]


def latex(text: str) -> str:
    """Escape plain text for LaTeX."""
    return "".join(LATEX.get(letter, letter) for letter in text)


def console_table(head: Sequence[str], rows: Sequence[Sequence[str | Text]], left: bool = False) -> RichTable:
    """Return a plain console table; all columns but the first are right-aligned, unless `left`."""
    table = RichTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for at, name in enumerate(head):
        table.add_column(name, justify="left" if left or at == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def with_interval(estimate: Estimate, digits: int, sign: bool = False) -> str:
    """Return a value with half its 95 % interval, "84.4±3.1"; without one the value alone; a dash for NaN.

    An interval that is not symmetric is given by its ends: "96.9 [89.0, 99.4]".
    """
    if math.isnan(estimate.value):
        return "–"
    value = f"{estimate.value:{'+' if sign else ''}.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    half, middle = (estimate.high - estimate.low) / 2, (estimate.high + estimate.low) / 2
    if abs(middle - estimate.value) > max(10.0**-digits, SYMMETRIC * half):
        low, high = (f"{end:{'+' if sign else ''}.{digits}f}" for end in (estimate.low, estimate.high))
        return f"{value} [{low}, {high}]"
    return f"{value}±{half:.{digits}f}"


INTERVALS = "± is the half-width of a 95 % confidence interval"
BRACKETS = "given by its ends where it is not symmetric"


def interval_note(run: Run) -> str:
    """Return what the intervals of a run's scores are over, or what it takes to have any."""
    unit_of, cycle = units_of(run)
    clustered = run.bench.clusters(run.num) is not None
    count, parts = len(np.unique(unit_of)), "prompts" if clustered else "units"
    if count < FEWEST_UNITS:
        enough = f"{FEWEST_UNITS} prompts" if clustered else f"num={FEWEST_UNITS * run.model.unit}"
        return f"n too small for intervals: {enough} or more"
    apart = " within classes" if turns(unit_of, cycle) else ""
    return f"{INTERVALS} over {count} {parts}{apart}, {BRACKETS}"


def with_arrow(label: str, higher: bool | None) -> str:
    """Return a label with an arrow to where better is; None: neither direction is better."""
    return label if higher is None else f"{label} {'↑' if higher else '↓'}"


def heading(metric: Metric) -> str:
    """Return a metric's label with an arrow to where better is."""
    return with_arrow(metric.label, metric.higher)


def stacked(name: str) -> str:
    """Break a heading over two lines, at its first space, or after the name in "Δ name": columns of numbers are narrow."""
    return "\n".join(name.rsplit(" ", 1) if name.startswith("Δ") else name.split(" ", 1))


def leaves_out_zero(estimate: Estimate) -> bool:
    """Return whether a difference has an interval that excludes 0."""
    return estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)


NOT_COUNTED = "not counted"  # FLOPs of a user's own network that cannot run on the meta device


def gflop(flops: float | None) -> str:
    """Return FLOPs in units of 10^9."""
    return NOT_COUNTED if flops is None else f"{flops / 1e9:.2f}"


def relative_flops(flops: float | None, against: float | None) -> str:
    """Return FLOPs relative to those of another row."""
    return NOT_COUNTED if flops is None or against is None else f"{flops / against:.2f}"


def cost_line(cost: Cost) -> str:
    """Return the cost of an item in words."""
    flops = f"FLOPs {NOT_COUNTED}" if cost.flops is None else f"{gflop(cost.flops)} GFLOP"
    return (
        f"per item: {cost.evaluations:g} network evaluations, {flops}, {1000 * cost.seconds:.0f} ms "
        f"({100 * cost.outside:.0f} % outside the network); peak memory {cost.peak_memory / 2**20:.0f} MiB"
    )


def scale_of(effective: Effective) -> str:
    """Return an effective guidance scale with its interval; a dash if there is no uncond branch to measure it against."""
    return "–" if effective.scale is None else with_interval(effective.scale, 2)


def scale_line(effective: Effective) -> str:
    """Return the effective guidance scale in words; "" if it was not recorded."""
    if not effective.evaluations:
        return ""
    if effective.scale is None:
        return "effective guidance scale: none, there is no unconditional prediction to measure it against"
    counted, whole = (f"{round(count, 1):g}" for count in (effective.evaluations - effective.left_out, effective.evaluations))
    of = f"over {counted} of {whole} evaluations"
    left = ", the others have no unconditional prediction" if effective.left_out else ""
    return f"effective guidance scale: {scale_of(effective)} ({of}{left})"


def flat(value: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Return nested settings as (dotted name, value) pairs, in their own order."""
    pairs = []
    for key, inside in value.items():
        pairs += flat(inside, f"{above}{key}.") if isinstance(inside, Mapping) else [(f"{above}{key}", inside)]
    return pairs

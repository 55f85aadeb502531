"""One table model and its renderers: console, Markdown, CSV and LaTeX; HTML is html/templates/table.html.j2."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from s2g.metrics.statistics import Estimate
from s2g.report.number_text import leaves_out_zero, stacked, with_interval

Kind = Literal["value", "delta", "paper", "cost"]
LABEL = 12  # letters that a label keeps on a line of a narrow terminal
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
    """Return the letters a line of `to_console` takes at least: two stand between columns, and long labels are wrapped."""
    _, *columns = zip(_console_head(table), *table.body(), strict=True)
    labels = [row.label for row in table.rows]
    word = max((len(word) for label in labels for word in label.split()), default=0)
    wrapped = max(word, min(LABEL, max(map(len, labels), default=0)))
    return sum(2 + max(len(line) for text in column for line in text.split("\n")) for column in columns) + 2 + wrapped


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

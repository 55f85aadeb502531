"""ResultRow results as a console table, Markdown, CSV and LaTeX: paper, ours, difference, interval, n and cost."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from s2g.experiments.results import RUN, ResultRow, Results
from s2g.experiments.specification import ExperimentSpec, Profile
from s2g.experiments.studies.study import asks_networks
from s2g.metrics.statistics import Estimate
from s2g.report.tables import console_table, leaves_out_zero, markdown_table, stacked, with_interval

COST = ("eff. scale", "calls", "FLOPs", "n")
TINY = "made on the small built-in model; no number of ours here is one of the paper's metrics"


def heads(experiment: ExperimentSpec, results: Results) -> list[str]:
    """Names of the columns, the row's own first."""
    names = [""]
    for column, about in profile_of(experiment, results).columns.items():
        names.append(heading(results, column))
        if has_delta(results, column):
            names.append(f"Δ {results.columns[column]['label']}")
        if paper_column(experiment, results, column):
            names.append(f"paper: {paper_label(experiment, results, column)}" if about.beside else "paper")
    return [*names, *COST]


def lines(experiment: ExperimentSpec, results: Results, bold: str = "**") -> list[list[str]]:
    """A line for each row: value with half its interval, difference on the same noise, the paper's number, cost."""
    profile, made = profile_of(experiment, results), []
    for row in results.rows:
        line = [label_of(profile, row)]
        for column in profile.columns:
            line.append(value_of(results, row, column))
            if has_delta(results, column):
                line.append(delta_of(results, row, column, bold))
            if paper_column(experiment, results, column):
                line.append(printed(experiment, results, row, column))
        line += cost_of(row, reference_of(profile, results, row), bool(profile.columns))
        made.append(line)
    return made


def filled(head: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Without columns in which no row says anything, such as the cost of what is not sampled."""
    kept = [at for at in range(len(head)) if at == 0 or any(row[at] for row in rows)]
    return [head[at] for at in kept], [[row[at] for at in kept] for row in rows]


def label_of(profile: Profile, row: ResultRow) -> str:
    """A row's label, with its group's where there are several, and a mark where it has a footnote."""
    line = profile.rows.get(row.row)
    label = row.label if line is None else line.label  # as it is put today
    mark = "†" if line is not None and line.footnote else ""
    group = f"{profile.groups[row.group].label}, " if len(profile.groups) > 1 and row.group in profile.groups else ""
    return f"{group}{label}{mark}"


def value_of(results: Results, row: ResultRow, column: str) -> str:
    """Our number with half its interval and the numbers of its remarks, or why there is none."""
    cell = row.cell(column)
    if cell is None:
        return row.status if row.status != RUN else ""
    value = float("nan") if cell.value is None else cell.value
    text = with_interval(Estimate(value, cell.low, cell.high, 0), results.columns[column]["digits"])
    known = remarks_of(results)
    return " ".join([text, *(f"[{known.index(remark) + 1}]" for remark in cell.remarks)])


def remarks_of(results: Results) -> list[str]:
    """What must be said beside numbers of a table, each once: number 1 is the first."""
    cells = (row.cell(column) for row in results.rows for column in results.columns)
    return list(dict.fromkeys(remark for cell in cells if cell is not None for remark in cell.remarks))


def numbered(results: Results) -> list[str]:
    """The remarks that cells give numbers of, each with its number."""
    return [f"[{number}] {remark}." for number, remark in enumerate(remarks_of(results), 1)]


def has_delta(results: Results, column: str) -> bool:
    """Whether any row has a difference in a column."""
    return any((cell := row.cell(column)) is not None and cell.delta is not None for row in results.rows)


def delta_of(results: Results, row: ResultRow, column: str, bold: str) -> str:
    """The paired difference, marked where its interval leaves out 0."""
    cell = row.cell(column)
    if cell is None or cell.delta is None or cell.delta["value"] is None:
        return ""
    found = Estimate(cell.delta["value"], cell.delta["low"], cell.delta["high"], 0)
    text = with_interval(found, results.columns[column]["digits"], sign=True)
    return f"{bold}{text}{bold}" if leaves_out_zero(found) else text


def cost_of(row: ResultRow, against: ResultRow | None, shown: bool) -> list[str]:
    """Effective scale, network evaluations an item, FLOPs relative to the compared row, items.

    shown: whether the table has columns, which would say why a row was not run; else its items do.
    """
    if row.evaluations is None or row.flops is None:
        return ["", "", "", str(row.n or "") if row.cells else "" if shown else row.status]
    scale = "–" if row.effective_scale is None else f"{row.effective_scale['value']:.2f}"
    relative = f"{row.flops / against.flops:.2f}" if against is not None and against.flops else ""
    return [scale, f"{row.evaluations:g}", relative, str(row.n)]


def reference_of(profile: Profile, results: Results, row: ResultRow) -> ResultRow | None:
    """The row that a row's differences are taken to."""
    name = profile.reference(row.row)
    return next((r for r in results.rows if r.group == row.group and r.row == name), None)


def printed(experiment: ExperimentSpec, results: Results, row: ResultRow, column: str) -> str:
    """The paper's number, as it prints it."""
    profile = profile_of(experiment, results)
    group, line = profile.groups[row.group], profile.rows.get(row.row)
    beside = paper_column(experiment, results, column)
    found = experiment.printed(group.like or row.group, (line.like if line else "") or row.row, beside)
    return "" if found is None else f"{found:.{experiment.digits(beside)}f}"


def paper_column(experiment: ExperimentSpec, results: Results, column: str) -> str:
    """The paper's column beside one of ours; none where it has no such number."""
    beside = profile_of(experiment, results).columns[column].beside
    if not experiment.paper:  # a curve without numbers
        return ""
    return beside or (column if column in experiment.columns and results.profile == "paper" else "")


def paper_label(experiment: ExperimentSpec, results: Results, column: str) -> str:
    """What the paper measured, and on which model."""
    named = experiment.profiles["paper"].groups
    likes = [group.like for group in profile_of(experiment, results).groups.values() if group.like]
    models = dict.fromkeys(named[like].label if like in named else like for like in likes)
    name = experiment.columns[paper_column(experiment, results, column)]
    return " ".join(filter(None, [name.label or name.metric.upper(), f"({', '.join(models)})" if models else ""]))


def heading(results: Results, column: str) -> str:
    """A column's label with an arrow to where better lies."""
    about = results.columns[column]
    arrow = "" if about["higher"] is None else " ↑" if about["higher"] else " ↓"
    return f"{about['label']}{arrow}"


def profile_of(experiment: ExperimentSpec, results: Results) -> Profile:
    """The profile the results were made in."""
    return experiment.profiles[results.profile]


def compared_with(profile: Profile) -> str:
    """The row that differences are taken to, in words."""
    own = {}
    for row, line in profile.rows.items():
        if line.against:
            of, to = (profile.rows[name] for name in (row, line.against))
            same = " of the same value" if "@" in line.against else ""
            own[f"of {of.point_of or of.label} to {to.point_of or to.label}{same}"] = None
    labels = list(own)
    named = [profile.rows[profile.against].label] if profile.against else []  # a study need not compare
    return "; ".join([*named, *labels])


def how_to_read(experiment: ExperimentSpec, results: Results) -> list[str]:
    """What the numbers are and are not, what the signs stand for, and the footnotes of rows."""
    profile = profile_of(experiment, results)
    against, said = compared_with(profile), []
    ran = any(row.status == RUN for row in results.rows)
    if ran and results.profile == "tiny":
        said.append(f"Profile tiny: {TINY}.")
    if ran and profile.study and not asks_networks(profile.study):
        said.append("Counted on the meta device, an image each: no weights are read and nothing is sampled.")
    elif ran and profile.study:
        said.append(
            f"Computed of the networks, nothing is sampled: means over {counted(results)} with networks trained from other "
            "seeds, ± half a 95 % t interval over them; n points each."
        )
    elif ran and profile.columns and any(row.runs > 1 for row in results.rows):
        said.append(
            f"Of {counted(results)} a row is the mean, ± half a 95 % t interval over runs; of a single run, over units of "
            f"items. Δ is to {against}, run by run on the same noise, bold where it leaves out 0 (no correction for the "
            "number of cells); FLOPs relative to the same row, calls per item."
        )
    elif ran and profile.columns:
        said.append(
            f"± is half a 95 % interval over units of items; Δ is to {against}, paired on the same noise, bold where it "
            "leaves out 0 (no correction for the number of cells); FLOPs relative to the same row, calls per item."
        )
    elif ran:
        said.append(f"The same noises under every row; calls per item, FLOPs relative to {against}.")
    footnotes = {line.label: line.footnote for line in profile.rows.values() if line.footnote}
    return [*said, *numbered(results), *experiment.remarks, *(f"† {label}: {text}" for label, text in footnotes.items())]


def counted(results: Results) -> str:
    """How many runs the rows are of that are several."""
    counts = sorted({row.runs for row in results.rows if row.runs > 1})
    return f"{', '.join(map(str, counts))} runs"


def notes(experiment: ExperimentSpec, results: Results) -> list[str]:
    """How many items, made how, how to read it, and what contradicts itself in the paper."""
    counts = sorted({row.n for row in results.rows if row.n})
    n = f"n = {', '.join(map(str, counts))}; " if counts else ""
    of_paper = [f"Of the paper: {note}" for note in experiment.notes]
    return [f"{n}{made_by(results.made)}", *how_to_read(experiment, results), *of_paper]


def made_by(made: Mapping[str, str]) -> str:
    """Command, date, machine and torch of a result, in words."""
    return f"{made['command']}, {made['date']}, {made['machine']}, torch {made['torch']}."


def markdown_of(experiment: ExperimentSpec, results: Results) -> str:
    """The table, its pictures and its notes in Markdown."""
    profile, stem = profile_of(experiment, results), f"{results.exhibit}-{results.profile}"
    table = markdown_table(*filled(heads(experiment, results), lines(experiment, results)))
    ran = any(row.status == RUN for row in results.rows)
    pictures = [
        (profile.plot, f"![{experiment.title}: plot]({stem}.png)\n"),
        (profile.grid, f"![{experiment.title}: images]({stem}.grid.png)\n"),
        (profile.drawing, f"![{experiment.title}]({stem}.drawing.png)\n"),
    ]
    shown = [text for described, text in pictures if described is not None and ran]
    return "\n".join([f"# {experiment.title}", "", table, *shown, *(f"{note}\n" for note in notes(experiment, results))])


def console_of(experiment: ExperimentSpec, results: Results, width: int) -> Table:
    """As much as `width` letters have room for: values, differences, the paper's numbers, scale, cost, n.

    The first two columns; where they do not fit, calls, then scale and n go (notes say n too), and then the second column.
    """
    head, rows = heads(experiment, results), lines(experiment, results)
    ends = [head.index(heading(results, column)) for column in profile_of(experiment, results).columns]
    costs = range(len(head) - len(COST), len(head))
    first, second = (ends[at] if len(ends) > at else costs.start for at in (1, 2))

    def view(last: int, *gone: str) -> tuple[list[str], list[list[str]]]:
        shown = [at for at in (*range(last), *costs) if head[at] not in gone and (at == 0 or any(row[at] for row in rows))]
        names = ["paper" if head[at].startswith("paper") else stacked(head[at]) for at in shown]
        return names, [[row[at] for at in shown] for row in rows]

    ways = [(second,), (second, "calls"), (second, "calls", "eff. scale", "n"), (first,)]
    names, cells = next((found for way in ways if _width(*(found := view(*way))) <= width), view(first, "calls", "eff. scale"))
    return console_table(names, [[_bold(cell) for cell in row] for row in cells])


def _width(head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Letters a line of a console table takes: two stand between columns."""
    columns = zip(head, *rows, strict=True)
    return sum(2 + max(len(part) for cell in column for part in cell.replace("**", "").split("\n")) for column in columns)


def _bold(cell: str) -> Text:
    return Text(cell.strip("*"), "bold") if cell.startswith("**") else Text(cell)


def only_printed(experiment: ExperimentSpec) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the paper's own numbers, for what cannot be run."""
    head = ["", *(column.label or name for name, column in experiment.columns.items())]
    rows = []
    for group, lines_ in experiment.paper.items():
        for row in lines_:
            found = [(experiment.printed(group, row, column), experiment.digits(column)) for column in experiment.columns]
            rows.append([experiment.labels.get(row, row), *("" if v is None else f"{v:.{digits}f}" for v, digits in found)])
    return head, rows


def csv_of(experiment: ExperimentSpec, results: Results) -> str:
    """A line for each cell: long, as a data frame wants it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = ["group", "row", "label", "column", "status", "value", "low", "high", "delta", "delta_low", "delta_high"]
    writer.writerow([*names, "paper", "n", "remarks"])
    for row in results.rows:
        for column in profile_of(experiment, results).columns:
            cell = row.cell(column)
            numbers, said = [None] * 6, ""
            if cell is not None:
                delta = cell.delta or {}
                numbers = [cell.value, cell.low, cell.high, delta.get("value"), delta.get("low"), delta.get("high")]
                said = " | ".join(cell.remarks)
            paper = printed(experiment, results, row, column) if paper_column(experiment, results, column) else ""
            first = [row.group, row.row, row.label, column, row.status]
            writer.writerow([*first, *map(_blank, numbers), paper, row.n or "", said])
    return stream.getvalue()


def tex_of(experiment: ExperimentSpec, results: Results) -> str:
    """A booktabs tabular, with the notes as comments."""
    head, rows = filled(heads(experiment, results), lines(experiment, results, bold=""))
    body = [" & ".join(tex(cell) for cell in row) + r" \\" for row in rows]
    comments = [f"% {note}" for note in notes(experiment, results)]
    named = " & ".join(tex(name) for name in head) + r" \\"
    frame = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", named, r"\midrule"]
    return "\n".join([*comments, *frame, *body, r"\bottomrule", r"\end{tabular}", ""])


TEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "Δ": r"$\Delta$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "²": r"$^2$", "†": r"$^\dagger$", "–": "--", "−": "$-$", "ω": r"$\omega$", "λ": r"$\lambda$",
    "×": r"$\times$",
}  # fmt: skip


def tex(text: str) -> str:
    """Plain text for LaTeX."""
    return "".join(TEX.get(letter, letter) for letter in text)


def _blank(value: float | None) -> float | str:
    return "" if value is None else value

"""Results of a table or figure as a Table, with their notes; rendered for the console, Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.table import Table as RichTable

from s2g.experiments.results import RUN, ResultRow, Results
from s2g.experiments.specification import ExperimentSpec, Profile
from s2g.experiments.studies.study import asks_networks
from s2g.metrics.statistics import FEWEST_UNITS, Estimate
from s2g.report.number_text import BRACKETS, INTERVALS, relative_flops, with_arrow
from s2g.report.tables import Cell, Column, Row, Table, console_width, to_console, to_csv, to_latex, to_markdown

COST = ("eff. scale", "calls", "FLOPs", "n")
OURS = {  # what a profile's numbers are not
    "tiny": "made on the small built-in model; no number of ours here is one of the paper's metrics",
    "real": "28x28 photographs of clothes, made by the built-in model; no number of ours here is one of the paper's metrics",
}


def results_table(
    experiment: ExperimentSpec, results: Results, link: Callable[[ResultRow], str] = lambda row: "", ours: str = "ours"
) -> Table:
    """Return value, paired difference and the paper's number per metric, then effective scale, cost and number of items.

    link, ours: for HTML, the page of a row's run ("" for none) and the label of our values below a metric's heading.
    """
    profile = profile_of(experiment, results)
    columns: list[Column] = []
    for key, spec in profile.columns.items():
        label, group = results.columns[key]["label"], with_arrow(results.columns[key]["label"], results.columns[key]["higher"])
        columns.append(Column(group, "value", key, group, ours, rule=True))
        if has_delta(results, key):
            columns.append(Column(f"Δ {label}", "delta", key, group, "Δ"))
        if paper_column(experiment, results, key):
            paper = f"paper: {paper_label(experiment, results, key)}" if spec.beside else "paper"
            columns.append(Column(paper, "paper", key, group))
    columns += [Column(name, "cost", rule=name == COST[0]) for name in COST]
    rows = []
    for row in results.rows:
        cells = [_cell(experiment, results, row, column) for column in columns if column.kind != "cost"]
        cells += _cost(row, reference_of(profile, results, row), bool(profile.columns))
        fields = {"group": row.group, "row": row.row, "label": row.label, "status": row.status, "n": row.n}
        rows.append(Row(label_of(profile, row), cells, fields, link(row)))
    return Table(columns, rows)


def _cell(experiment: ExperimentSpec, results: Results, row: ResultRow, column: Column) -> Cell:
    if column.kind == "paper":
        return Cell(printed(experiment, results, row, column.key))
    digits, cell = results.columns[column.key]["digits"], row.cell(column.key)
    if column.kind == "delta":
        known = cell is not None and cell.delta is not None and cell.delta["value"] is not None
        return Cell.difference(_estimate(cell.delta) if known else None, digits)  # type: ignore[union-attr]
    if cell is None:
        return Cell("" if row.status == RUN else row.status, missing=row.status != RUN)
    return Cell.number(_estimate(vars(cell)), digits, cell.remarks)


def _cost(row: ResultRow, against: ResultRow | None, has_columns: bool) -> list[Cell]:
    """Return effective scale, network evaluations per item, FLOPs relative to the compared row, number of items.

    has_columns: whether the table has metrics, whose cells say why a row was not run; else the last cell says it.
    """
    if row.evaluations is None:
        last = Cell(str(row.n or "")) if row.cells else Cell() if has_columns else Cell(row.status, missing=row.status != RUN)
        return [Cell(), Cell(), Cell(), last]
    scale = "–" if row.effective_scale is None else f"{row.effective_scale['value']:.2f}"
    relative = "" if against is None or against.flops == 0 else relative_flops(row.flops, against.flops)
    return [Cell(scale), Cell(f"{row.evaluations:g}"), Cell(relative), Cell(str(row.n))]


def _estimate(numbers: Mapping[str, float | None]) -> Estimate:
    value = numbers["value"]
    return Estimate(float("nan") if value is None else value, numbers["low"], numbers["high"], 0)


def label_of(profile: Profile, row: ResultRow) -> str:
    """Return a row's current label, after its group's if there are several, with a mark if it has a footnote."""
    spec = profile.rows.get(row.row)
    label = row.label if spec is None else spec.label
    mark = "†" if spec is not None and spec.footnote else ""
    group = f"{profile.groups[row.group].label}, " if len(profile.groups) > 1 and row.group in profile.groups else ""
    return f"{group}{label}{mark}"


def has_delta(results: Results, column: str) -> bool:
    """Return whether any row has a difference in a column."""
    return any((cell := row.cell(column)) is not None and cell.delta is not None for row in results.rows)


def reference_of(profile: Profile, results: Results, row: ResultRow) -> ResultRow | None:
    """Return the row that a row is compared with, None if it is not there."""
    name = profile.reference(row.row)
    return next((r for r in results.rows if r.group == row.group and r.row == name), None)


def printed(experiment: ExperimentSpec, results: Results, row: ResultRow, column: str) -> str:
    """Return the paper's number for a cell, with the digits it prints; "" if it prints none."""
    profile = profile_of(experiment, results)
    group, spec = profile.groups[row.group], profile.rows.get(row.row)
    beside = paper_column(experiment, results, column)
    number = experiment.printed(group.like or row.group, (spec.like if spec else "") or row.row, beside)
    return "" if number is None else f"{number:.{experiment.digits(beside)}f}"


def paper_column(experiment: ExperimentSpec, results: Results, column: str) -> str:
    """Return the paper's column to show beside one of ours, "" if there is none."""
    beside = profile_of(experiment, results).columns[column].beside
    if not experiment.paper:  # a plot whose numbers the paper does not print
        return ""
    return beside or (column if column in experiment.columns and results.profile == "paper" else "")


def paper_label(experiment: ExperimentSpec, results: Results, column: str) -> str:
    """Return what the paper measured, and on which model."""
    groups = experiment.profiles["paper"].groups
    likes = [group.like for group in profile_of(experiment, results).groups.values() if group.like]
    models = dict.fromkeys(groups[like].label if like in groups else like for like in likes)
    spec = experiment.columns[paper_column(experiment, results, column)]
    return " ".join(filter(None, [spec.label or spec.metric.upper(), f"({', '.join(models)})" if models else ""]))


def profile_of(experiment: ExperimentSpec, results: Results) -> Profile:
    """Return the profile of the results."""
    return experiment.profiles[results.profile]


def compared_with(profile: Profile, results: Results) -> str:
    """Return which rows differences are taken to, in words; of the rows that the results have."""
    exceptions, measured = {}, {row.row for row in results.rows}
    for row, spec in profile.rows.items():
        if spec.against and row in measured:
            other = profile.rows[spec.against]
            same = " of the same value" if "@" in spec.against else ""
            exceptions[f"of {spec.point_of or spec.label} to {other.point_of or other.label}{same}"] = None
    default = [profile.rows[profile.against].label] if profile.against else []  # a study need not compare
    return "; ".join([*default, *exceptions])


def how_to_read(experiment: ExperimentSpec, results: Results) -> list[str]:
    """Return what the numbers are and are not, what the symbols mean, remarks and footnotes."""
    profile = profile_of(experiment, results)
    against, lines = compared_with(profile, results), []
    apart = f" {results.made['intervals']}" if "intervals" in results.made else ""
    ran = any(row.status == RUN for row in results.rows)
    if ran and results.profile in OURS:
        lines.append(f"Profile {results.profile}: {OURS[results.profile]}.")
    if ran and profile.study and not asks_networks(profile.study):
        lines.append("Counted on the meta device, an image each: no weights are read and nothing is sampled.")
    elif ran and profile.study:
        lines.append(
            f"Computed of the networks, nothing is sampled: means over {counted(results)} with {varied(profile)}, ± half-width "
            "of a 95 % t interval over them; n items each."
        )
    elif ran and profile.columns and any(row.runs > 1 for row in results.rows):
        lines.append(
            f"Of {counted(results)} a row is the mean, ± half-width of a 95 % t interval over runs; of a single run, over "
            f"units of items{apart}. Δ is to {against}, run by run on the same noise, bold where it leaves out 0 (no "
            "correction for the number of cells); FLOPs relative to the same row, calls per item."
        )
    elif ran and profile.columns:
        lines.append(
            f"{INTERVALS} over units of items{apart}, {BRACKETS}, none below {FEWEST_UNITS} units; Δ is to {against}, "
            "paired on the same noise, bold where it leaves out 0 (no correction for the number of cells); FLOPs relative to "
            "the same row, calls per item."
        )
    elif ran:
        lines.append(f"The same noises under every row; calls per item, FLOPs relative to {against}.")
    lines += [*results_table(experiment, results).numbered_remarks, *experiment.remarks]
    footnotes = dict.fromkeys(f"† {spec.label}: {spec.footnote}" for spec in profile.rows.values() if spec.footnote)
    return [*lines, *footnotes]


def counted(results: Results) -> str:
    """Return how many runs there are in a row of several."""
    counts = sorted({row.runs for row in results.rows if row.runs > 1})
    return f"{', '.join(map(str, counts))} runs"


def varied(profile: Profile) -> str:
    """Return what the runs of a study's row differ in."""
    keys = {
        key
        for of in (*profile.groups.values(), *profile.rows.values())
        for keys in of.over
        for key in keys.replace(" ", "").split(",")
    }
    if "model.network.seed" in keys:
        return "networks trained from other seeds"
    return "other images, noises and masks" if "mask_seed" in keys else "other images and noises"


def notes(experiment: ExperimentSpec, results: Results) -> list[str]:
    """Return number of items, how they were made, how to read the table, and what contradicts itself in the paper."""
    counts = sorted({row.n for row in results.rows if row.n})
    n = f"n = {', '.join(map(str, counts))}; " if counts else ""
    of_paper = [f"Of the paper: {note}" for note in experiment.notes]
    return [f"{n}{made_by(results.made)}", *how_to_read(experiment, results), *of_paper]


def made_by(made: Mapping[str, str]) -> str:
    """Return command, date, machine and torch version of a result, in words."""
    return f"{made['command']}, {made['date']}, {made['machine']}, torch {made['torch']}."


def markdown_of(experiment: ExperimentSpec, results: Results) -> str:
    """Return the table, its pictures and its notes in Markdown."""
    profile, stem = profile_of(experiment, results), f"{results.exhibit}-{results.profile}"
    table = to_markdown(results_table(experiment, results).without_empty_columns())
    ran = any(row.status == RUN for row in results.rows)
    pictures = [
        (profile.plot, f"![{experiment.title}: plot]({stem}.png)\n"),
        (profile.grid, f"![{experiment.title}: images]({stem}.grid.png)\n"),
        (profile.drawing, f"![{experiment.title}]({stem}.drawing.png)\n"),
    ]
    shown = [text for described, text in pictures if described is not None and ran]
    return "\n".join([f"# {experiment.title}", "", table, *shown, *(f"{note}\n" for note in notes(experiment, results))])


def csv_of(experiment: ExperimentSpec, results: Results) -> str:
    """Return a CSV line for each row and metric."""
    return to_csv(results_table(experiment, results))


def tex_of(experiment: ExperimentSpec, results: Results) -> str:
    """Return a booktabs tabular with the notes as comments."""
    return to_latex(results_table(experiment, results).without_empty_columns(), notes(experiment, results))


def console_of(experiment: ExperimentSpec, results: Results, width: int) -> RichTable:
    """Return as much of the table as fits `width` letters.

    That is the first two metrics and all costs; if they do not fit, without calls, then without scale and n, which the
    notes say too, then without the second metric.
    """
    table = results_table(experiment, results).without_empty_columns()
    metrics = list(profile_of(experiment, results).columns)

    def view(count: int, *dropped: str) -> Table:
        shown = metrics[:count]
        return table.take(
            at
            for at, column in enumerate(table.columns)
            if (column.label not in dropped if column.kind == "cost" else column.key in shown)
        )

    views = [view(2), view(2, "calls"), view(2, "calls", "eff. scale", "n"), view(1)]
    return to_console(next((v for v in views if console_width(v) <= width), view(1, "calls", "eff. scale")))


def paper_table(experiment: ExperimentSpec) -> Table:
    """Return the paper's own numbers, for an experiment that cannot be run."""
    rows = []
    for group, lines in experiment.paper.items():
        for row in lines:
            numbers = [(experiment.printed(group, row, column), experiment.digits(column)) for column in experiment.columns]
            cells = [Cell("" if number is None else f"{number:.{digits}f}") for number, digits in numbers]
            rows.append(Row(experiment.labels.get(row, row), cells))
    return Table([Column(column.label or name, "paper") for name, column in experiment.columns.items()], rows)

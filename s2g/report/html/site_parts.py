"""What the pages of the report show, made from results and nothing else: no model, no run, no store is needed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from s2g.engine.run import outline
from s2g.experiments.composition import composed, composing
from s2g.experiments.measure import columns_of
from s2g.experiments.results import NOT_BUILT, NOT_RUN, RUN, ResultRow, Results, counts_of
from s2g.experiments.specification import ExperimentSpec, Profile, run_specs
from s2g.experiments.study_rows import study_columns
from s2g.experiments.verdicts import Judged
from s2g.metrics.statistics import Estimate
from s2g.report.drawing import read_drawing
from s2g.report.html.page import Gallery, NumberTable
from s2g.report.renderers import (
    COST,
    cost_of,
    delta_of,
    has_delta,
    heading,
    how_to_read,
    label_of,
    made_by,
    only_printed,
    paper_column,
    paper_label,
    printed,
    reference_of,
    value_of,
)
from s2g.report.tables import leaves_out_zero

HEADINGS = {"tiny": "On the small built-in model", "paper": "As in the paper"}


@dataclass(frozen=True)
class Part:
    """One profile of a table or figure."""

    profile: str
    heading: str
    command: str
    status: str  # what was measured, when and where; or why nothing was
    table: NumberTable
    notes: Sequence[str]
    stale: Sequence[str]
    plot: str  # a data URI; "" where nothing is drawn
    plot_text: str  # the same in words, for who cannot see it
    grid: str  # a data URI; "" where there is none, or the gallery shows the same
    drawing: str  # a data URI; "" where there is none
    drawing_text: str
    files: Sequence[tuple[str, str]]  # what can be fetched: name, place
    commands: Sequence[tuple[str, str, str]]  # row, command, page of its run or ""


@dataclass(frozen=True)
class Said:
    """A claim in one profile, and the comparisons it rests on."""

    profile: str
    word: str
    found: Sequence[tuple[str, str, str]]  # verdict, numbers, page they come from


@dataclass(frozen=True)
class ClaimShown:
    """A claim with its verdicts."""

    name: str
    claim: str
    source: str
    said: Sequence[Said]


@dataclass(frozen=True)
class ExhibitPage:
    """One table or figure."""

    name: str
    title: str
    source: str
    parts: Sequence[Part]
    gallery: Gallery | None
    claims: Sequence[ClaimShown]
    paper_notes: Sequence[str]
    pictures: bool = False  # whether it is pictures, without numbers of the paper's
    printed: NumberTable | None = None  # of what cannot be run
    reason: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Line:
    """A table or figure on the overview."""

    title: str
    page: str  # "" where there is none yet
    states: Mapping[str, str] = field(default_factory=dict)  # by profile


def unmeasured(experiment: ExperimentSpec, profile: Profile) -> Results:
    """Results without numbers: every row not run, or not built where model or bench have no code."""
    rows, built, lines = run_specs(profile), {}, {}
    with composing():
        for spec in rows:
            of = spec.set.get("model"), spec.bench
            if of not in built:
                built[of] = outline(composed(spec)).unbuilt is None
            command = " ".join(["python run.py", *spec.overrides])
            status = NOT_RUN if built[of] else NOT_BUILT
            lines.setdefault((spec.group, spec.row), ResultRow(spec.group, spec.row, spec.label, command, status))
    columns = study_columns(experiment, profile, rows) if profile.study else columns_of(profile, rows)
    return Results(experiment.name, profile.name, None, {}, columns, tuple(lines.values()))


def state_of(results: Results) -> str:
    """A result in a few words, for a list."""
    if not any(row.status == RUN for row in results.rows):
        return ", ".join(dict.fromkeys(row.status for row in results.rows))
    return f"{counts_of(results)}; {results.made['date']}, {results.made['machine']}"


def number_table(experiment: ExperimentSpec, results: Results, page_of: Mapping[str, str]) -> NumberTable:
    """Ours, the difference and the paper's number under each column's name; effective scale, cost and n at the end."""
    profile = experiment.profile(results.profile)
    alone = results.profile == "tiny" and len(profile.groups) == 1
    ours = next(iter(profile.groups.values())).label if alone else "ours"
    head, groups, theirs, divides = [""], [("", 0)], set(), set()
    shown = {}  # column -> whether it has differences, whether the paper has a number
    for column in profile.columns:
        delta = has_delta(results, column)
        paper = paper_column(experiment, results, column)
        shown[column] = delta, bool(paper)
        divides.add(len(head))
        width = len(head)
        head.append(ours)
        head += ["Δ"] * delta
        if paper:
            theirs.add(len(head))
            beside = profile.columns[column].beside
            head.append(f"paper: {paper_label(experiment, results, column)}" if beside else "paper")
        groups.append((heading(results, column), len(head) - width))
    costs = any(row.evaluations is not None for row in results.rows)
    if not costs and not shown:
        status = [[label_of(profile, row), row.status] for row in results.rows]
        return NumberTable(["", "ours"], status, "", absent=frozenset((at, 1) for at in range(len(status))))
    if costs:
        divides.add(len(head))
        head += COST
        groups.append(("", len(COST)))
    rows, clear, absent, links = [], set(), set(), {}
    for at, row in enumerate(results.rows):
        line = [label_of(profile, row)]
        for column, (delta, paper) in shown.items():
            if row.cell(column) is None and row.status != RUN:
                absent.add((at, len(line)))
            line.append(value_of(results, row, column))
            if delta:
                if _clear(row, column):
                    clear.add((at, len(line)))
                line.append(delta_of(results, row, column, ""))
            if paper:
                line.append(printed(experiment, results, row, column))
        if costs:
            line += cost_of(row, reference_of(profile, results, row), bool(shown))
            if row.status != RUN:
                absent.add((at, len(line) - 1))
        rows.append(line)
        if (page := next((page_of[key] for key in row.keys.values() if key in page_of), "")) != "":
            links[at] = page
    return NumberTable(
        head,
        rows,
        "",
        frozenset(clear),
        frozenset(),
        groups[1:],
        frozenset(divides),
        frozenset(theirs),
        frozenset(absent),
        links,
    )


def _clear(row: ResultRow, column: str) -> bool:
    cell = row.cell(column)
    delta = cell.delta if cell is not None else None
    return bool(delta) and leaves_out_zero(Estimate(delta["value"] or 0.0, delta["low"], delta["high"], 0))


def part_of(
    experiment: ExperimentSpec, results: Results, old: Sequence[str], out: Path, page_of: Mapping[str, str], in_gallery: bool
) -> Part:
    """A profile's section, with the pictures and files that lie in `out`."""
    profile, stem = experiment.profile(results.profile), f"{results.exhibit}-{results.profile}"
    paper = " PROFILE=paper" if results.profile == "paper" else ""
    measured = any(row.status == RUN for row in results.rows)
    plot = profile.plot
    y = ", ".join(results.columns[column]["label"] for column in plot.y) if plot else ""
    x = (plot.x_label or (results.columns[plot.x]["label"] if plot.x in results.columns else plot.x)) if plot else ""
    return Part(
        profile=results.profile,
        heading=HEADINGS[results.profile],
        command=f"make {experiment.name}{paper}",
        status=f"{counts_of(results)}; {made_by(results.made)}" if measured else f"{state_of(results).capitalize()}.",
        table=number_table(experiment, results, page_of),
        notes=how_to_read(experiment, results),
        stale=old,
        plot=svg_uri(out / f"{stem}.svg") if measured else "",
        plot_text=f"{experiment.title}: {y} against {x}; the numbers are in the table" if plot else "",
        grid="" if in_gallery or not measured else svg_uri(out / f"{stem}.grid.svg"),
        drawing=svg_uri(out / f"{stem}.drawing.svg") if measured else "",
        drawing_text=f"{experiment.title}: {read_drawing(profile.drawing).alt}" if profile.drawing is not None else "",
        files=[(path.name, f"data/{path.name}") for path in result_files(out, stem)],
        commands=[
            (label_of(profile, row), row.command, next((page_of[k] for k in row.keys.values() if k in page_of), ""))
            for row in results.rows
        ],
    )


def result_files(out: Path, stem: str) -> list[Path]:
    """What lies beside a result and is worth fetching, in a fixed order."""
    endings = ("json", "csv", "md", "tex", "svg", "png", "grid.svg", "grid.png", "gallery.json", "drawing.svg", "drawing.png")
    return [path for ending in endings if (path := out / f"{stem}.{ending}").exists()]


def svg_uri(path: Path) -> str:
    """A drawing as an address that is part of the page; "" if there is none."""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode() if path.exists() else ""


def printed_table(experiment: ExperimentSpec) -> NumberTable:
    """The paper's numbers alone."""
    head, rows = only_printed(experiment)
    return NumberTable(head, rows, "", theirs=frozenset(range(1, len(head))))


def claim_shown(judged: Mapping[str, Judged]) -> ClaimShown:
    """A claim's verdicts in every profile."""
    claim = next(iter(judged.values())).claim
    said = []
    for profile, one in judged.items():
        if not claim.checks.get(profile):
            said.append(Said(profile, "no counterpart", ()))
            continue
        found = [(str(f.verdict), f.said, f"{f.file.partition('-')[0]}.html" if f.file else "") for f in one.found]
        said.append(Said(profile, str(one.verdict), list(dict.fromkeys(found))))
    return ClaimShown(claim.name, claim.claim, claim.source, said)


def about(claim: ClaimShown, judged: Mapping[str, Judged], experiment: str) -> ClaimShown | None:
    """A claim as far as it rests on one table or figure; None if it does not."""
    kept = []
    for said in claim.said:
        checks = judged[said.profile].claim.checks.get(said.profile, ())
        if any(check.exhibit == experiment for check in checks):
            kept.append(replace(said, found=[f for f in said.found if f[2] in ("", f"{experiment}.html")]))
    return replace(claim, said=kept) if kept else None

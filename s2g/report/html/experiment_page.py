"""The page of one table or figure: a section per profile with its table, plots, notes, commands and files."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2g.engine.resolve import outline
from s2g.experiments.composition import compose_row
from s2g.experiments.measure import columns_of
from s2g.experiments.results import NOT_BUILT, NOT_RUN, RUN, ResultRow, Results, counts_of
from s2g.experiments.specification import PROFILES, ExperimentSpec, Profile, command_of, run_specs
from s2g.experiments.study_rows import study_columns
from s2g.report.drawing import read_drawing
from s2g.report.gallery import Gallery
from s2g.report.html.claims_page import ClaimSummary
from s2g.report.results_table import how_to_read, label_of, made_by, results_table
from s2g.report.tables import Table

FILES = ("json", "csv", "md", "tex", "svg", "png", "grid.svg", "grid.png", "gallery.json", "drawing.svg", "drawing.png")


@dataclass(frozen=True)
class Section:
    """One profile of a table or figure; images are data URIs, "" if there is none."""

    profile: str
    heading: str
    command: str
    status: str  # what was measured, when and where; or why nothing was
    table: Table
    notes: Sequence[str]
    stale: Sequence[str]  # rows whose runs have other keys today
    plot: str
    plot_alt: str
    grid: str  # "" also if the gallery shows the same images
    drawing: str
    drawing_alt: str
    files: Sequence[tuple[str, str]]  # name, link
    commands: Sequence[tuple[str, str, str]]  # row, command, page of its run or ""


@dataclass(frozen=True)
class ExperimentPage:
    """One table or figure."""

    name: str
    title: str
    source: str
    sections: Sequence[Section]
    gallery: Gallery | None
    claims: Sequence[ClaimSummary]
    paper_notes: Sequence[str]
    gallery_first: bool  # a figure of images, without numbers of the paper's
    paper_table: Table | None  # of an experiment that cannot be run
    reason: str  # why it cannot be run
    before: str = ""  # names of the neighbouring experiments
    after: str = ""


def unmeasured(experiment: ExperimentSpec, profile: Profile) -> Results:
    """Return results without numbers: every row not run, or not built if its model or bench has no code."""
    specs, built, rows = run_specs(profile), {}, {}
    for spec in specs:
        key = spec.set.get("model"), spec.bench
        if key not in built:
            built[key] = outline(compose_row(spec)).unbuilt is None
        command = " ".join(["python run.py", *spec.overrides])
        status = NOT_RUN if built[key] else NOT_BUILT
        rows.setdefault((spec.group, spec.row), ResultRow(spec.group, spec.row, spec.label, command, status))
    columns = study_columns(profile, specs) if profile.study else columns_of(profile, specs)
    return Results(experiment.name, profile.name, None, {}, columns, tuple(rows.values()))


def state_of(results: Results) -> str:
    """Return the state of results in a few words."""
    if not any(row.status == RUN for row in results.rows):
        return ", ".join(dict.fromkeys(row.status for row in results.rows))
    return f"{counts_of(results)}; {results.made['date']}, {results.made['machine']}"


def section_of(
    experiment: ExperimentSpec, results: Results, stale: Sequence[str], out: Path, pages: Mapping[str, str], in_gallery: bool
) -> Section:
    """Return a profile's section with the images and files in `out`; `pages` are those of runs, by key."""
    profile, stem = experiment.profile(results.profile), f"{results.exhibit}-{results.profile}"
    measured = any(row.status == RUN for row in results.rows)
    plot, alt = profile.plot, ""
    if plot is not None:
        y = ", ".join(results.columns[column]["label"] for column in plot.y)
        x = plot.x_label or (results.columns[plot.x]["label"] if plot.x in results.columns else plot.x)
        alt = f"{experiment.title}: {y} against {x}; the numbers are in the table"

    def page_of(row: ResultRow) -> str:
        return next((pages[key] for key in row.keys.values() if key in pages), "")

    alone = results.profile != "paper" and len(profile.groups) == 1
    ours = next(iter(profile.groups.values())).label if alone else "ours"
    return Section(
        profile=results.profile,
        heading=PROFILES[results.profile],
        command=command_of(experiment.name, results.profile),
        status=f"{counts_of(results)}; {made_by(results.made)}" if measured else f"{state_of(results).capitalize()}.",
        table=results_table(experiment, results, page_of, ours).without_empty_columns(),
        notes=how_to_read(experiment, results),
        stale=stale,
        plot=svg_uri(out / f"{stem}.svg") if measured else "",
        plot_alt=alt,
        grid="" if in_gallery or not measured else svg_uri(out / f"{stem}.grid.svg"),
        drawing=svg_uri(out / f"{stem}.drawing.svg") if measured else "",
        drawing_alt=f"{experiment.title}: {read_drawing(profile.drawing).alt}" if profile.drawing is not None else "",
        files=[(path.name, f"data/{path.name}") for path in result_files(out, stem)],
        commands=[(label_of(profile, row), row.command, page_of(row)) for row in results.rows],
    )


def result_files(out: Path, stem: str) -> list[Path]:
    """Return the files of a result that the page links to."""
    return [path for ending in FILES if (path := out / f"{stem}.{ending}").exists()]


def svg_uri(path: Path) -> str:
    """Return an SVG file as a data URI, "" if there is none."""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode() if path.exists() else ""

"""`make report`: all results as a static site, built from their files alone; opened from disk or served."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from rich.console import Console

from s2g import __version__
from s2g.errors import UserError
from s2g.experiments.results import RUN, Results
from s2g.experiments.specification import PROFILES, ExperimentSpec, paper_number
from s2g.experiments.specification_file import experiment_files, read_experiment
from s2g.experiments.verdicts import Judged, judge_all
from s2g.io.atomic import write_bytes
from s2g.report.gallery import Gallery
from s2g.report.html.claims_page import ClaimSummary, claim_on, claim_summary, tally
from s2g.report.html.experiment_page import ExperimentPage, result_files, section_of, state_of, unmeasured
from s2g.report.html.methods_page import methods_section
from s2g.report.html.page import render
from s2g.report.html.run_pages import RunPage, page_of_keys, run_pages
from s2g.report.published import kept_gallery, stale
from s2g.report.results_table import paper_table
from s2g.report.tables import Cell, Column, Row, Table

TABLES, FIGURES = 7, 15  # of the paper
MARKER = "made-by-s2g-report"  # only a folder that has it is overwritten


@dataclass(frozen=True)
class SiteData:
    """Everything the pages are built from."""

    folder: Path  # of the experiments
    out: Path  # of the results
    experiments: Mapping[str, ExperimentSpec]
    results: Mapping[tuple[str, str], Results]  # by name and profile; without numbers if nothing was measured
    judged: Mapping[str, Mapping[str, Judged]]  # by claim and profile
    claims: Mapping[str, ClaimSummary]

    @staticmethod
    def of(folder: Path, out: Path) -> SiteData:
        """Read the experiments of `folder` and their results in `out`; UserError if a file cannot be read."""
        experiments = {name: read_experiment(file) for name, file in experiment_files(folder, out).items()}
        results = {}
        for name, experiment in experiments.items():
            for profile_name in sorted(experiment.profiles, key=list(PROFILES).index):
                path, profile = out / f"{name}-{profile_name}.json", experiment.profile(profile_name)
                stored = path.exists()
                results[name, profile_name] = Results.load(path, profile.columns) if stored else unmeasured(experiment, profile)
        judged = judge_all(folder, out)
        claims = {name: claim_summary(by_profile) for name, by_profile in judged.items()}
        return SiteData(folder, out, experiments, results, judged, claims)

    @property
    def measured(self) -> list[Results]:
        """Return results of which at least one row was run."""
        return [results for results in self.results.values() if any(row.status == RUN for row in results.rows)]

    def gallery(self, name: str) -> tuple[str, Gallery] | None:
        """Return profile and gallery, the paper's models first; a page shows one gallery."""
        for profile in reversed(list(PROFILES)):
            if (name, profile) in self.results and (gallery := kept_gallery(self.results[name, profile], self.out)) is not None:
                return profile, gallery
        return None


@dataclass(frozen=True)
class OverviewRow:
    """A table or figure on the overview."""

    title: str
    page: str  # "" if there is none yet
    states: Mapping[str, str] = field(default_factory=dict)  # by profile


def write_site(folder: Path, results: Path, root: str, out: Path, console: Console) -> None:
    """Write the report into `out`, replacing an older report; UserError if something else is there.

    folder: experiments; results: their results; root: a store, read for the configurations of runs alone.
    """
    _check(out)
    site = SiteData.of(folder, results)
    titles = {name: experiment.title.partition(":")[0] for name, experiment in site.experiments.items()}
    runs = run_pages(site.measured, titles, root, site.out)
    methods = [one for profile in PROFILES if (one := methods_section(results / f"methods-{profile}.json")) is not None]
    shared: dict[str, Any] = {"facts": facts_of(site.measured), "has_methods": bool(methods), "titles": titles}
    claims = list(site.claims.values())
    pages = {
        "index.html": render(
            "overview.html.j2", rows=overview_rows(site), claims=claims, tally=tally(site.judged), profiles=PROFILES, **shared
        ),
        "claims.html": render("claims.html.j2", claims=claims, **shared),
        "runs.html": render("run_list.html.j2", runs=runs, table=run_table(runs), **shared),
    }
    if methods:
        pages["methods.html"] = render("methods.html.j2", sections=methods, **shared)
    run_page, names = page_of_keys(site.measured), list(site.experiments)
    for before, name, after in zip(["", *names], names, [*names[1:], ""], strict=False):
        page = replace(experiment_page(site, name, run_page), before=before, after=after)
        pages[f"{name}.html"] = render("experiment.html.j2", page=page, **shared)
    pages |= {run.page: render("run.html.j2", run=run, **shared) for run in runs}
    _empty(out)
    for name, text in pages.items():
        write_bytes(out / name, text.encode())
    for name, profile in site.results:
        for path in result_files(results, f"{name}-{profile}"):
            write_bytes(out / "data" / path.name, path.read_bytes())
    console.print(f"{len(pages)} pages: {os.path.relpath(out / 'index.html')}", soft_wrap=True)


def experiment_page(site: SiteData, name: str, run_page: Mapping[str, str]) -> ExperimentPage:
    """Return the page of one table or figure, without its neighbours; `run_page` maps keys to pages of runs."""
    experiment, gallery = site.experiments[name], site.gallery(name)
    claims = [claim_on(claim, site.judged[key], name) for key, claim in site.claims.items()]
    sections = []
    for profile in (profile for other, profile in site.results if other == name):
        results = site.results[name, profile]
        old = stale(experiment, results, site.folder) if results in site.measured else ()
        in_gallery = gallery is not None and gallery[0] == profile
        sections.append(section_of(experiment, results, old, site.out, run_page, in_gallery))
    return ExperimentPage(
        name=name,
        title=experiment.title,
        source=experiment.source,
        sections=sections,
        gallery=None if gallery is None else gallery[1],
        claims=[claim for claim in claims if claim is not None],
        paper_notes=experiment.notes,
        gallery_first=not experiment.columns,
        paper_table=paper_table(experiment) if experiment.only_printed else None,
        reason=experiment.only_printed,
    )


def _check(out: Path) -> None:
    """Raise UserError if a folder holds something that is not a report."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).exists())):
        raise UserError(f"--out {out}: holds something that is not a report", todo="give a folder of its own")


def _empty(out: Path) -> None:
    """Create the folder without anything of an older report."""
    shutil.rmtree(out, ignore_errors=True)
    try:
        (out / "data").mkdir(parents=True)
        write_bytes(out / MARKER, b"")
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})", todo="--out FOLDER") from error


def overview_rows(site: SiteData) -> list[OverviewRow]:
    """Return the paper's tables and figures by number, also those without an experiment, then the user's own experiments."""
    rows = {}
    for name, experiment in site.experiments.items():
        states = {profile: state_of(results) for (other, profile), results in site.results.items() if other == name}
        rows[name] = OverviewRow(experiment.title, f"{name}.html", states or dict.fromkeys(PROFILES, "nothing to run"))
    ordered = []
    for kind, title, count in (("table", "Table", TABLES), ("fig", "Figure", FIGURES)):
        for number in range(1, count + 1):
            own = [row for name, row in rows.items() if name.rstrip(ascii_lowercase) == f"{kind}{number}"]
            ordered += own or [OverviewRow(f"{title} {number}", "", dict.fromkeys(PROFILES, "not described yet"))]
    return ordered + [row for name, row in rows.items() if paper_number(name) is None]


def run_table(runs: Sequence[RunPage]) -> Table:
    """Return a row per run, linked to its page."""
    rows = []
    for run in runs:
        used = ", ".join(dict.fromkeys(title for title, _, _ in run.used))
        rows.append(Row(run.key, [Cell(run.label), Cell(used), Cell(run.stored or "–")], link=run.page))
    return Table([Column("row"), Column("in"), Column("on this machine")], rows, corner="run")


def facts_of(measured: Sequence[Results]) -> list[tuple[str, str]]:
    """Return when the pages were made, and when, where and with which versions the results were."""

    def values(name: str) -> str:
        return ", ".join(sorted({results.made[name] for results in measured})) or "nothing yet"

    return [
        ("Pages made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("Measured on", values("machine")),
        ("Dates", values("date")),
        ("torch", values("torch")),
        ("S2G", __version__),
    ]

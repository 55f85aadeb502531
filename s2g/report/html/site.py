"""make report: everything that was measured as a static site; from results alone, opened from a disk or a server."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from rich.console import Console

from s2g import __version__
from s2g.errors import UserError
from s2g.experiments.claims import read_claims
from s2g.experiments.results import RUN, Results
from s2g.experiments.specification import PROFILES, ExperimentSpec
from s2g.experiments.specification_file import experiment_names, find_experiment
from s2g.experiments.verdicts import Judged, judge
from s2g.io.atomic import write_bytes
from s2g.report.html.methods_page import shelf_page
from s2g.report.html.page import Gallery, NumberTable, render
from s2g.report.html.run_pages import RunPage, keys_in, run_pages
from s2g.report.html.site_parts import (
    ClaimShown,
    ExhibitPage,
    Line,
    about,
    claim_shown,
    part_of,
    printed_table,
    result_files,
    state_of,
    unmeasured,
)
from s2g.report.published import kept_gallery, stale

TABLES, FIGURES = 7, 15  # of the paper
MARKER = "made-by-s2g-report"  # a folder that has it is ours to write anew


@dataclass(frozen=True)
class Known:
    """Everything the pages are made of."""

    folder: Path
    out: Path  # where results lie
    exhibits: Mapping[str, ExperimentSpec]
    results: Mapping[tuple[str, str], Results]  # by name and profile; without numbers where nothing was measured
    judged: Mapping[str, Mapping[str, Judged]]  # by claim and profile
    claims: Mapping[str, ClaimShown]

    @staticmethod
    def of(folder: Path, out: Path) -> Known:
        """The experiments of `folder` with the results that lie in `out`; UserError for what cannot be read."""
        found = {name: find_experiment(folder, name) for name in experiment_names(folder)}
        results = {}
        for name, experiment in found.items():
            for profile in sorted(experiment.profiles, key=PROFILES.index):
                path, asked = out / f"{name}-{profile}.json", experiment.profile(profile)
                results[name, profile] = Results.load(path, asked.columns) if path.exists() else unmeasured(experiment, asked)
        judged = {claim.name: {p: judge(claim, p, folder, out) for p in PROFILES} for claim in read_claims(folder)}
        return Known(folder, out, found, results, judged, {name: claim_shown(of) for name, of in judged.items()})

    @property
    def measured(self) -> list[Results]:
        """Results that have been run at least in part."""
        return [one for one in self.results.values() if any(row.status == RUN for row in one.rows)]

    def gallery(self, name: str) -> tuple[str, Gallery] | None:
        """Profile and images: of the paper's models if there are any, else of the built-in one; a page has one gallery."""
        for profile in reversed(PROFILES):
            if (name, profile) in self.results and (found := kept_gallery(self.results[name, profile], self.out)) is not None:
                return profile, found
        return None


def write_site(folder: Path, results: Path, root: str, out: Path, console: Console) -> None:
    """The report into `out`, which is made anew; UserError if something else lies there.

    folder: the experiments; results: what was measured of them; root: a store, looked into for configurations alone.
    """
    _check(out)
    known = Known.of(folder, results)
    titles = {name: experiment.title.partition(":")[0] for name, experiment in known.exhibits.items()}
    runs = run_pages(known.measured, titles, root)
    shelf = shelf_page(results / "methods-tiny.json")
    shared: dict[str, Any] = {"facts": facts_of(known.measured), "shelf": shelf is not None, "titles": titles}
    claims = list(known.claims.values())
    pages = {
        "index.html": render("overview.html.j2", lines=in_order(known), claims=claims, tally=tally(known.judged), **shared),
        "claims.html": render("claims.html.j2", claims=claims, **shared),
        "runs.html": render("run_list.html.j2", runs=runs, table=run_table(runs), **shared),
    }
    if shelf is not None:
        pages["methods.html"] = render("shelf.html.j2", page=shelf, **shared)
    page_of, names = keys_in(known.measured), list(known.exhibits)
    for at, name in enumerate(names):
        beside = {"before": names[at - 1] if at else "", "after": names[at + 1] if at + 1 < len(names) else ""}
        page = replace(exhibit_page(known, name, page_of), **beside)
        pages[f"{name}.html"] = render("exhibit.html.j2", page=page, **shared)
    pages |= {run.page: render("run.html.j2", run=run, **shared) for run in runs}
    _empty(out)
    for name, text in pages.items():
        write_bytes(out / name, text.encode())
    for name, profile in known.results:
        for path in result_files(results, f"{name}-{profile}"):
            write_bytes(out / "data" / path.name, path.read_bytes())
    console.print(f"{len(pages)} pages: {os.path.relpath(out / 'index.html')}", soft_wrap=True)


def exhibit_page(known: Known, name: str, page_of: Mapping[str, str]) -> ExhibitPage:
    """The page of one table or figure; its neighbours are filled in by who knows them."""
    experiment, gallery = known.exhibits[name], known.gallery(name)
    own = [about(claim, known.judged[key], name) for key, claim in known.claims.items()]
    parts = []
    for profile in (profile for of, profile in known.results if of == name):
        results = known.results[name, profile]
        old = stale(experiment, results, known.folder) if results in known.measured else ()
        parts.append(part_of(experiment, results, old, known.out, page_of, gallery is not None and gallery[0] == profile))
    return ExhibitPage(
        name=name,
        title=experiment.title,
        source=experiment.source,
        parts=parts,
        gallery=None if gallery is None else gallery[1],
        claims=[claim for claim in own if claim is not None],
        paper_notes=experiment.notes,
        pictures=not experiment.columns,
        printed=printed_table(experiment) if experiment.only_printed else None,
        reason=experiment.only_printed,
    )


def _check(out: Path) -> None:
    """UserError if a folder holds something that is no report."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).exists())):
        raise UserError(f"--out {out}: holds something that is not a report", todo="give a folder of its own")


def _empty(out: Path) -> None:
    """The folder, with nothing of an older report in it."""
    shutil.rmtree(out, ignore_errors=True)
    try:
        (out / "data").mkdir(parents=True)
        write_bytes(out / MARKER, b"")
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})", todo="--out FOLDER") from error


def in_order(known: Known) -> list[Line]:
    """The paper's tables and figures by number; those without a file are named all the same."""
    lines = {}
    for name, experiment in known.exhibits.items():
        states = {profile: state_of(results) for (of, profile), results in known.results.items() if of == name}
        lines[name] = Line(experiment.title, f"{name}.html", states or dict.fromkeys(PROFILES, "nothing to run"))
    found = []
    for kind, title, count in (("table", "Table", TABLES), ("fig", "Figure", FIGURES)):
        for number in range(1, count + 1):
            own = [line for name, line in lines.items() if name.rstrip(ascii_lowercase) == f"{kind}{number}"]
            found += own or [Line(f"{title} {number}", "", dict.fromkeys(PROFILES, "not described yet"))]
    return found


def tally(judged: Mapping[str, Mapping[str, Judged]]) -> dict[str, list[tuple[str, int]]]:
    """How many claims have which verdict, by profile; claims without a counterpart are left out."""
    found = {}
    for profile in PROFILES:
        counts = Counter(str(of[profile].verdict) for of in judged.values() if of[profile].claim.checks.get(profile))
        found[profile] = sorted(counts.items())
    return found


def run_table(runs: Sequence[RunPage]) -> NumberTable:
    """Every run in a line."""
    rows = [
        [run.key, run.label, ", ".join(dict.fromkeys(title for title, _, _ in run.used)), run.stored or "–"] for run in runs
    ]
    head = ["run", "row", "in", "on this machine"]
    return NumberTable(head, rows, "", links={at: run.page for at, run in enumerate(runs)})


def facts_of(measured: Sequence[Results]) -> list[tuple[str, str]]:
    """When the pages were made, and on what everything in them was measured."""

    def said(name: str) -> str:
        return ", ".join(sorted({one.made[name] for one in measured})) or "nothing yet"

    return [
        ("Pages made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("ResultRow on", said("machine")),
        ("Dates", said("date")),
        ("torch", said("torch")),
        ("S2G", __version__),
    ]

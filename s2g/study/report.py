"""The report of a study: a page, tables, Figure 11's chart, and every number and vote as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s2g import __version__
from s2g.experiments.specification import ExperimentSpec
from s2g.io.atomic import write_bytes, write_json
from s2g.metrics.statistics import Estimate
from s2g.report.html.page import Pairs, render
from s2g.report.media import data_uri
from s2g.report.tables import Cell, Column, Row, Table, to_markdown
from s2g.report.write_results import make_folder
from s2g.study.chart import chart, picture
from s2g.study.folder import Study
from s2g.study.preferences import Preferences, preferences_of
from s2g.study.specification import OVERALL
from s2g.study.votes import Votes, vote_lines, votes_of

SCHEMA = 1
PAPER_GROUP = "t2i"  # of experiments/fig11.yaml


@dataclass(frozen=True)
class ReportPage:
    """What the page shows."""

    title: str
    lead: Sequence[str]
    chart: str  # data URI
    chart_alt: str
    shares: Table
    pairs: Table
    agreement: Table
    notes: Sequence[str]
    facts: Pairs


def write_report(study: Study, out: Path, keep_all: bool = False, paper: ExperimentSpec | None = None) -> ReportPage:
    """Write index.html, report.md, report.json, fig11.svg, fig11.png and four CSV files into `out`; return the page.

    keep_all: count those who missed attention checks too. paper: Figure 11's experiment, whose numbers stand beside those of
    methods and criteria of the same names. UserError if nobody has voted.
    """
    votes = votes_of(study, keep_all)
    found = preferences_of(votes)
    figure = chart(found, labels_of(votes), [method.label for method in votes.methods])
    page = page_of(study, votes, found, picture(figure, "svg"), paper)
    make_folder(out)
    write_bytes(out / "index.html", render("votes.html.j2", page=page).encode())
    write_bytes(out / "report.md", _markdown(page).encode())
    write_json(out / "report.json", plain(study, votes, found))
    for ending in ("svg", "png"):
        write_bytes(out / f"fig11.{ending}", picture(figure, ending))
    for name, lines in csv_lines(study, votes, found).items():
        write_bytes(out / f"{name}.csv", _csv(lines).encode())
    return page


def labels_of(votes: Votes) -> dict[str, str]:
    """Return the labels of criteria by name, and of all together."""
    return {criterion.name: criterion.label for criterion in votes.criteria} | {OVERALL: "Overall"}


def page_of(study: Study, votes: Votes, found: Preferences, svg: bytes, paper: ExperimentSpec | None) -> ReportPage:
    """Return what the page shows; `svg` is the chart."""
    labels, methods = labels_of(votes), [method.label for method in votes.methods]
    alt = "; ".join(f"{method} {100 * one.value:.1f} %" for method, one in zip(methods, found.shares[OVERALL], strict=True))
    return ReportPage(
        title=f"{study.spec.title} The votes" if study.spec.title.endswith("?") else f"{study.spec.title}: the votes",
        lead=[lead_of(found, methods)],
        chart=data_uri(svg, "image/svg+xml"),
        chart_alt=f"Shares of votes over all criteria: {alt}",
        shares=share_table(votes, found, labels, paper),
        pairs=pair_table(votes, found),
        agreement=Table(
            [Column(labels[name]) for name in found.names],
            [Row("alpha", [_alpha(found.alpha[name]) for name in found.names])],
        ),
        notes=notes_of(votes, found),
        facts=[
            ("Report made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
            ("Shown", study.material.note),
            ("Runs", ", ".join(method.run for method in votes.methods)),
            ("S2G", __version__),
        ],
    )


def share_table(votes: Votes, found: Preferences, labels: Mapping[str, str], paper: ExperimentSpec | None) -> Table:
    """Return shares of votes in %, a row per method; the paper's number beside it where it states one."""
    stated = {
        name: [None if paper is None or name not in paper.columns else paper.printed(PAPER_GROUP, method.name, name)
               for method in votes.methods]
        for name in found.names
    }  # fmt: skip
    columns, rows = [], []
    for name in found.names:
        columns.append(Column(f"{labels[name]}, %", key=name))
        if any(number is not None for number in stated[name]):
            columns.append(Column(f"{labels[name]}, % (paper)", "paper", key=name))
    for at, method in enumerate(votes.methods):
        cells = []
        for column in columns:
            if column.kind == "paper":
                number = stated[column.key][at]
                cells.append(Cell("" if number is None else f"{number:.1f}"))
            else:
                cells.append(Cell.number(_percent(found.shares[column.key][at]), 1))
        rows.append(Row(method.label, cells))
    return Table(columns, rows, "share of votes")


def pair_table(votes: Votes, found: Preferences) -> Table:
    """Return, over all criteria, how often a row's method was preferred to a column's, and its Bradley-Terry strength."""
    numbers, rows = range(len(votes.methods)), []
    for one in numbers:
        cells = []
        for other in numbers:
            pair = found.pairs[OVERALL].get((one, other))
            estimate = None if pair is None else pair.preference
            if estimate is None:
                cells.append(Cell("–"))
                continue
            clear = estimate.low is not None and estimate.high is not None and not estimate.low <= 0.5 <= estimate.high
            cells.append(replace(Cell.number(_percent(estimate), 0), bold=clear))
        strength = found.strengths[OVERALL][one]
        cells.append(Cell("not defined", missing=True) if strength.value != strength.value else Cell.number(strength, 2))
        rows.append(Row(votes.methods[one].label, cells))
    columns = [Column(f"over {method.label}, %") for method in votes.methods] + [Column("Bradley-Terry", rule=True)]
    return Table(columns, rows, "preferred")


def notes_of(votes: Votes, found: Preferences) -> list[str]:
    """Return what must be said beside the numbers."""
    share = found.shares[OVERALL][0]
    notes = [
        "A share is a method's votes among all votes of a criterion, so shares add up to 100 %; overall counts all criteria "
        "together. " + ("More than one picture could be chosen." if votes.several else "One picture was chosen each time."),
        f"Intervals are of 95 %: {share.method}."
        + " Participants and prompts are both resampled (pigeonhole bootstrap, Owen 2007)." * (share.low is not None),
        "Preferred: of the pages where one of the two was chosen and the other was not. Bold: the interval leaves out 50 %. "
        "Bradley-Terry: log odds against the mean of all methods, from the same pairs.",
        "Alpha (Krippendorff, nominal): whether participants chose the same pictures; 1 is agreement, 0 is chance.",
        f"A page took {votes.seconds:.0f} seconds in the median.",
    ]
    if votes.left_out:
        counted = [number for number in votes.left_out if number in votes.participants]
        verb = "are counted all the same (--keep-all)" if counted else "are left out (--keep-all counts them)"
        notes.append(f"Participants who missed an attention check {verb}: {', '.join(map(str, votes.left_out))}.")
    if votes.unfinished:
        notes.append(f"Participants who have not finished (their votes count): {', '.join(map(str, votes.unfinished))}.")
    return notes


def lead_of(found: Preferences, methods: Sequence[str]) -> str:
    """Return how many voted and whom they prefer; methods with equally many votes are all named."""
    votes = found.votes[OVERALL]
    best = [at for at, count in enumerate(votes) if count == max(votes)]
    share = Cell.number(_percent(found.shares[OVERALL][best[0]]), 1).text
    parts = ((found.participants, "participant"), (found.prompts, "prompt"), (sum(votes), "vote"))
    size = ", ".join(f"{count:,} {what}{'s' * (count != 1)}" for count, what in parts)
    *others, last = (methods[at] for at in best)
    first = f"{', '.join(others)} and {last} have the largest shares, each" if others else f"{last} has the largest share,"
    return f"{size}: {first} {share} % of all votes; {100 / len(methods):.1f} % would be no preference."


def plain(study: Study, votes: Votes, found: Preferences) -> dict[str, Any]:
    """Return all numbers as plain data; pairs as "METHOD over METHOD"."""
    names = [method.name for method in votes.methods]

    def by_method(estimates: Sequence[Estimate]) -> dict[str, Any]:
        return {name: _finite(asdict(one)) for name, one in zip(names, estimates, strict=True)}

    pairs = {
        criterion: {
            f"{names[i]} over {names[j]}": asdict(pair) for (i, j), pair in found.pairs[criterion].items()
        }
        for criterion in found.names
    }  # fmt: skip
    return {
        "schema": SCHEMA,
        "participants": list(votes.participants),
        "left_out": {str(number): count for number, count in votes.left_out.items()},
        "prompts": found.prompts,
        "methods": [asdict(method) for method in votes.methods],
        "votes": {name: dict(zip(names, counts, strict=True)) for name, counts in found.votes.items()},
        "shares": {name: by_method(found.shares[name]) for name in found.names},
        "pairs": pairs,
        "bradley_terry": {name: by_method(found.strengths[name]) for name in found.names},
        "alpha": dict(found.alpha),
        "note": study.material.note,
    }


def csv_lines(study: Study, votes: Votes, found: Preferences) -> dict[str, Iterable[Mapping[str, object]]]:
    """Return the lines of each CSV file by name."""
    names, every = [method.name for method in votes.methods], found.names
    return {
        "shares": [
            {"criterion": criterion, "method": name, "votes": count, **_numbers(share)}
            for criterion in every
            for name, count, share in zip(names, found.votes[criterion], found.shares[criterion], strict=True)
        ],
        "pairs": [
            {"criterion": criterion, "method": names[i], "over": names[j], "wins": pair.wins, "losses": pair.losses,
             "ties": pair.ties, **_numbers(pair.preference)}
            for criterion in every for (i, j), pair in found.pairs[criterion].items()
        ],
        "strengths": [
            {"criterion": criterion, "method": name, **_numbers(strength)}
            for criterion in every for name, strength in zip(names, found.strengths[criterion], strict=True)
        ],
        "votes": vote_lines(study, votes),
    }  # fmt: skip


def _numbers(estimate: Estimate | None) -> dict[str, object]:
    if estimate is None:
        return {"value": "", "low": "", "high": "", "method of interval": ""}
    value = _finite(asdict(estimate))
    shown = {name: "" if value[name] is None else f"{value[name]:.6g}" for name in ("value", "low", "high")}
    return {**shown, "method of interval": estimate.method}


def _finite(estimate: dict[str, Any]) -> dict[str, Any]:
    return estimate | {"value": None} if estimate["value"] != estimate["value"] else estimate


def _percent(estimate: Estimate) -> Estimate:
    low, high = (None if end is None else 100 * end for end in (estimate.low, estimate.high))
    return replace(estimate, value=100 * estimate.value, low=low, high=high)


def _alpha(alpha: float | None) -> Cell:
    return Cell("not defined", missing=True) if alpha is None else Cell(f"{alpha:.3f}")


def _csv(lines: Iterable[Mapping[str, object]]) -> str:
    rows, stream = list(lines), io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _markdown(page: ReportPage) -> str:
    tables = [f"## {head}\n\n{to_markdown(table)}" for head, table in (
        ("Shares of votes", page.shares), ("Pairwise, over all criteria", page.pairs), ("Agreement", page.agreement),
    )]  # fmt: skip
    notes, facts = "\n".join(f"- {note}" for note in page.notes), "\n".join(f"- {name}: {value}" for name, value in page.facts)
    parts = [f"# {page.title}", *page.lead, "![Shares of votes](fig11.png)", *tables, notes, facts]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"

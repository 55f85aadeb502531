"""`s2g vbench-totals`, `vbench-compare`, `vbench-check` and `vbench-score`: VBench results and folders of videos."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from s2g.benchmarks.vbench import coverage, official, prompts
from s2g.benchmarks.vbench.compare import compare, paired, unpaired
from s2g.benchmarks.vbench.dimensions import DIMENSIONS, QUALITY, SEMANTIC, Totals
from s2g.benchmarks.vbench.dimensions import totals as totals_of
from s2g.benchmarks.vbench.prompts import Suite
from s2g.benchmarks.vbench.results import HUNDRED, Scored, read_files
from s2g.benchmarks.vbench.videos import look
from s2g.cli.commands.options import AllowMissing
from s2g.errors import SeveralError, UserError, gathered
from s2g.io.atomic import write_bytes
from s2g.io.cache import cache_folder
from s2g.report.tables import console_table
from s2g.scoring.file_scoring import PLACE

SuitePath = Annotated[
    str, typer.Option(help="VBench_full_info.json, the list of expected videos; default: where bench=vbench finds it.")
]
Videos = Annotated[Path, typer.Argument(help="A flat folder of PROMPT-NUMBER.mp4, as the official package reads it.")]
UNCHECKED = "unchecked: without the prompts, the set of videos is unknown: s2g fetch vbench, or --path FILE"


def totals(
    files: Annotated[list[Path], typer.Argument(help="*_eval_results.json of the official package, or a folder of them.")],
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Total the dimensions that exist, labeled.")] = False,
    path: SuitePath = "",
) -> None:
    """Print the totals of result files with every term; UserError for anything wrong or missing in them."""
    console = _console()
    scored = read_files(files)
    found = totals_of({name: one.value for name, one in scored.items()}, allow_missing)
    suite = _suite(path)
    if suite is not None:
        wanted = coverage.wanted_of(suite, prompts.VIDEOS)
        lines = coverage.lacking(suite, scored, wanted)
        if lines and not allow_missing:
            raise _incomplete(lines)
        lines = [f"incomplete: {line}" for line in lines] + coverage.left_out(suite, scored, wanted)
    else:
        lines = [UNCHECKED]
    print_totals(console, found, scored, lines, "" if suite else "unchecked")


def print_totals(console: Console, found: Totals, scored: Mapping[str, Scored], lines: Sequence[str], label: str = "") -> None:
    """Print the sixteen terms, Quality, Semantic and Total as a table, and the remarks below it.

    label: appended to the names of the three totals in parentheses.
    """
    console.print(totals_table(found, scored, label))
    if found.partial:
        console.print(
            f"PARTIAL: {len(found.terms)} of {len(DIMENSIONS)} dimensions, without {', '.join(found.missing)}; "
            "not comparable with any published total",
            soft_wrap=True,
        )
    for line in [*(one.remark for one in scored.values()), *lines]:
        if line:
            console.print(line, soft_wrap=True, markup=False)


def totals_table(found: Totals, scored: Mapping[str, Scored], label: str = "") -> Table:
    """Return a row per dimension: raw value in percent, range it is normalized by, normalized value, weight, points."""
    rows = []
    for term in found.terms:
        one = term.dimension
        between = f"{one.low:g} to {one.high:g}"
        cells = [
            f"{100 * term.raw:.2f}",
            between,
            f"{100 * term.normalised:.2f}",
            f"{one.weight:g}",
            f"{100 * term.points:.3f}",
        ]
        rows.append([one.name, one.group, *cells, f"{len(scored[one.name].videos):,}"])
    labels = [*(["partial"] if found.partial else []), *([label] if label else [])]
    label = f" ({', '.join(labels)})" if labels else ""
    for name, value, how in (
        (QUALITY, found.quality, "terms / weights"),
        (SEMANTIC, found.semantic, "terms / weights"),
        ("Total", found.total, "(4 Quality + Semantic) / 5"),
    ):
        shown = "–" if np.isnan(value) else f"{100 * value:.2f}"
        rows.append([f"{name}{label}", "", "", how, shown, "", shown if name == "Total" else "", ""])
    return console_table(["percent", "group", "raw", "from 0 to 1", "normalized", "weight", "points", "videos"], rows)


def compare_results(
    a: Annotated[str, typer.Argument(help="*_eval_results.json or a folder of them; several separated by commas.")],
    b: Annotated[str, typer.Argument(help="The same for the other method; the difference is B - A.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    path: SuitePath = "",
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Compare only videos that both have.")] = False,
) -> None:
    """Print B - A by dimension with 95 % intervals (paired bootstrap over prompts); UserError if the videos differ."""
    console, both = _console(), []
    errors: list[UserError] = []
    for typed in (a, b):
        with gathered(errors):
            both.append(read_files(typed.split(",")))
    if errors:
        raise SeveralError.of(errors)
    suite, apart, lines = _suite(path), unpaired(both[0], both[1]), list[str]()
    if suite is not None:
        wanted = coverage.wanted_of(suite, prompts.VIDEOS)
        for who, scored in zip("AB", both, strict=True):
            apart += [f"{who}: {line}" for line in coverage.lacking(suite, scored, wanted)]
            lines += [f"{who}: {line}" for line in coverage.left_out(suite, scored, wanted)]
    else:
        lines.append(UNCHECKED)
    if apart and not allow_missing:
        raise UserError(
            "these results are of different videos, or incomplete\n  " + "\n  ".join(apart),
            todo="score what is missing; or --allow-missing compares the videos that both have, labeled",
        )
    found = compare(*paired(both[0], both[1]), seed)
    used = [one.name for one in found if one.name in DIMENSIONS]
    if not used:
        raise UserError(f"{a}, {b}: no dimension has per-video values in both", allowed="the package's *_eval_results.json")
    rows = []
    for one in found:
        ends = "–" if np.isnan(one.low) else f"[{one.low:+.2f}, {one.high:+.2f}]"
        numbers = ["–" if np.isnan(value) else f"{value:.2f}" for value in (one.a, one.b)]
        delta = "–" if np.isnan(one.difference) else f"{one.difference:+.2f}"
        rows.append([one.name, *numbers, delta, ends, str(one.prompts)])
    console.print(console_table(["percent", "A", "B", "B - A", "95 % interval", "prompts"], rows))
    console.print(f"A: {a}\nB: {b}\npaired bootstrap over prompts, seed {seed}", soft_wrap=True, markup=False)
    if apart:
        lines.insert(0, "NOT THE WHOLE SET: only the videos that both have; not comparable with any published number")
    lacks = [name for name in DIMENSIONS if name not in used]
    if lacks:
        lines.insert(0, f"PARTIAL: these totals are of {len(used)} of {len(DIMENSIONS)} dimensions, without {', '.join(lacks)}")
    lines += [f"incomplete: {line}" for line in apart]
    lines += [f"{who}: {one.remark}" for who, of in zip("AB", both, strict=True) for one in of.values() if one.remark]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def check(folder: Videos, path: SuitePath = "") -> None:
    """Print that a folder is complete; UserError listing missing, extra, truncated and odd-sized videos."""
    suite = prompts.load(path)
    found = look(_there(folder), suite)
    found.check(str(folder), len(suite.files), False, _todo())
    console = _console()
    console.print(
        f"{folder}: complete, {len(suite.files):,} videos of {len(suite.entries)} prompts "
        f"({len(suite.items):,} as VBench counts: {len(suite.items) - len(suite.files)} are of prompts that are listed twice)",
        soft_wrap=True,
    )


def score(
    folder: Videos,
    path: SuitePath = "",
    weights: Annotated[str, typer.Option(help="The package's cache; default: VBENCH_CACHE_DIR, else ~/.cache/vbench.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for NAME_eval_results.json.")] = Path("outputs/vbench"),
    allow_missing: AllowMissing = False,
) -> None:
    """Score a folder with the official package (resumes), write its results and print the totals; UserError as `check`."""
    console, errors, suites = _console(), list[UserError](), list[Suite]()
    for need in (lambda: suites.append(prompts.load(path)), lambda: official.check(weights), lambda: _there(folder)):
        with gathered(errors):
            need()
    if errors:
        raise SeveralError.of(errors)
    suite = suites[0]
    whole = look(folder, suite).check(str(folder), len(suite.files), allow_missing, _todo())
    videos = {image.path.name: (image.path, image.sha256) for image in whole}
    own = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
    scored = official.scores(videos, suite, weights, cache_folder() / PLACE / own, console.print)
    written, kept = _keep(out, folder.absolute().name, (json.dumps(as_official(scored), indent=1) + "\n").encode())
    wanted = {part for name in videos if (part := prompts.parted(name)) and part[1] < prompts.SAMPLES}
    lacks = coverage.lacking(suite, scored, wanted)
    if lacks and not allow_missing:
        raise _incomplete([*lacks, f"they are written: {written}"])
    lines = [f"incomplete: {line}" for line in lacks]
    if len(videos) < len(suite.files):
        lines.append(f"not comparable with published numbers: {len(videos):,} of {len(suite.files):,} videos were there")
    found = totals_of({name: one.value for name, one in scored.items()}, allow_missing)
    print_totals(console, found, scored, [*lines, *coverage.left_out(suite, scored, wanted), *kept, f"written: {written}"])


def as_official(scored: Mapping[str, Scored]) -> dict[str, list[object]]:
    """Return results in the package's own format, in which imaging quality per video runs from 0 to 100."""
    return {
        name: [
            one.value,
            [
                {"video_path": prompts.name_of(*whose), "video_results": value * (100 if name in HUNDRED else 1)}
                for whose, value in one.videos.items()
            ],
        ]
        for name, one in scored.items()
    }


def _incomplete(lines: Sequence[str]) -> UserError:
    return UserError(
        "these results are incomplete\n  " + "\n  ".join(lines),
        todo="score what is missing; or --allow-missing prints totals of what is there, labeled",
    )


def _keep(out: Path, name: str, content: bytes) -> tuple[Path, list[str]]:
    """Write results without overwriting those of another folder of the same name; return the path and remarks."""
    place = out / f"{name}_eval_results.json"
    if not place.exists() or place.read_bytes() == content:
        write_bytes(place, content)
        return place, []
    other = out / f"{name}-{hashlib.sha256(content).hexdigest()[:8]}_eval_results.json"
    write_bytes(other, content)
    return other, [f"{place} holds other results and was kept"]


def _suite(path: str) -> Suite | None:
    """Return the prompts; None if no path is given and they are not in the default places."""
    return prompts.load(path) if path or prompts.found_at("") else None


def _console() -> Console:
    console = Console(highlight=False)
    console.width = max(console.width, 120)  # a pipe has no width of its own, and rich would fold at 80 columns
    return console


def _there(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder", allowed="a flat folder of PROMPT-NUMBER.mp4")
    return folder


def _todo() -> str:
    return (
        "add what is missing and move other files away (the package takes the ending of the first entry); "
        "or s2g vbench-score --allow-missing scores the intact videos, labeled as partial"
    )

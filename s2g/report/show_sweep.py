"""A sweep on the console and in outputs/sweeps: NAME.csv with all numbers, NAME.md with the tables, NAME.png with curves."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from rich.console import Console

from s2g.io.atomic import write_bytes, write_json
from s2g.report.number_text import stacked
from s2g.report.sweep import Job, Sweep, short
from s2g.report.tables import console_table, markdown_table
from s2g.report.write_results import make_folder

FOLDER = Path("outputs/sweeps")
LONGEST_NAME = 80  # letters of a sweep's name
OVER_SEEDS = "mean over seeds, ± half-width of a 95 % t interval over seeds (3 or more)"


def show_sweep(sweep: Sweep, command: Sequence[str], console: Console, folder: Path = FOLDER) -> list[Path]:
    """Print the tables and write the files of a sweep under a name that does not exist yet; return the files."""
    stem = new_stem(sweep, folder)
    for _, (head, rows), note in tables_of(sweep):
        console.print(console_table([stacked(name) for name in head], rows))
        if note:
            console.print(note, soft_wrap=True)
    for line in sweep.notes():
        console.print(line, soft_wrap=True, markup=False)
    make_folder(folder)
    contents = {".csv": csv_of(sweep).encode(), ".md": markdown_of(sweep, command, stem.name).encode()}
    if sweep.numeric_knob:
        from s2g.report.sweep_plot import curves  # matplotlib

        contents[".png"] = curves(sweep, sweep.numeric_knob)
    paths = [stem.with_name(f"{stem.name}{ending}") for ending in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_bytes(path, content)
    paths += pages_of(sweep, stem)
    write_json(stem.with_name(f"{stem.name}.runs.json"), {"runs": sorted({job.score.run.key for job in sweep.jobs})})
    console.print(f"Sweep: {', '.join(map(str, paths))}", soft_wrap=True)
    return paths


def tables_of(sweep: Sweep) -> list[tuple[str, tuple[list[str], list[list[str]]], str]]:
    """Return title, table (head and rows) and note of each table that has rows."""
    against = ""
    if sweep.reference is not None:
        knobs = zip(short(sweep.settings), sweep.setting(sweep.reference), strict=True)
        against = (
            f"Δ to job {sweep.baseline} ({' '.join(f'{name}={value}' for name, value in knobs)}), paired on the same noise"
        )
    found = [("Runs", sweep.runs_table(), ""), ("Differences", sweep.differences_table(), against)]
    found.append(("Means over seeds", sweep.seeds_table(), OVER_SEEDS))
    return [one for one in found if one[1][1] and (one[0] == "Runs" or sweep.metrics)]


def new_stem(sweep: Sweep, folder: Path) -> Path:
    """Return date, time and swept knobs as a path without an ending; a number is added if files have that name already."""
    knobs = re.sub(r"[^\w-]+", "_", "-".join(short(sweep.knobs)))
    name = f"{datetime.now():%Y-%m-%d-%H%M%S}-{knobs}"[:LONGEST_NAME].rstrip("-")
    taken = {path.name.partition(".")[0] for path in folder.glob(f"{name}*")}
    number = next(number for number in range(1, len(taken) + 2) if (name if number == 1 else f"{name}-{number}") not in taken)
    return folder / (name if number == 1 else f"{name}-{number}")


def csv_of(sweep: Sweep) -> str:
    """Return a line per job: knobs, run key, n, each metric with its interval and difference, scale and cost."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parts = ("", "_low", "_high", "_delta", "_delta_low", "_delta_high")
    names = [f"{metric.name}{part}" for metric in sweep.metrics for part in parts]
    costs = ("evaluations", "flops", "seconds", "peak_memory", "outside")
    writer.writerow(["job", *sweep.knobs, "run", "n", *names, "no_delta", "effective_scale", *costs])
    for job in sweep.jobs:
        deltas = sweep.differences.get(job.number, {})
        numbers: list[float | str] = []
        for metric in sweep.metrics:
            for estimate in (job.score.estimates.get(metric.name), deltas.get(metric.name)):
                ends = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
                numbers += ["" if end is None or end != end else end for end in ends]
        scale = "" if job.score.effective.scale is None else job.score.effective.value
        knobs = [job.overrides.get(name, "") for name in sweep.knobs]
        cost = [asdict(job.score.cost)[name] for name in costs]
        why = sweep.partner(job)[1] if sweep.metrics else ""
        writer.writerow([job.number, *knobs, job.score.run.key, job.score.run.num, *numbers, why, scale, *cost])
    return stream.getvalue()


def markdown_of(sweep: Sweep, command: Sequence[str], name: str) -> str:
    """Return the tables as Markdown, with the command and the runs."""
    parts = [f"# {name}\n", f"```\n{shlex.join(['python', 'run.py', *command])}\n```\n"]
    for title, (head, rows), note in tables_of(sweep):
        parts.append(f"## {title}\n\n{markdown_table(head, rows)}" + (f"\n{note}.\n" if note else ""))
    if notes := sweep.notes():
        parts.append("".join(f"- {line}\n" for line in notes))
    runs = "".join(f"- run {number}: `{key}`, n = {num}\n" for (key, num), number in sweep.numbers.items())
    return "\n".join([*parts, f"## Stored runs\n\n{runs}"])


def pages_of(sweep: Sweep, stem: Path) -> list[Path]:
    """Write a page for each list of one's own prompts in the sweep; return their paths."""
    groups: dict[str, list[Job]] = {}
    for job in sweep.jobs:
        if job.score.run.config["bench"]["name"] == "prompts":
            group = groups.setdefault(f"{job.root} {job.score.run.bench.items_id()}", [])
            group += [job] * (job.score.run.key not in [other.score.run.key for other in group])
    if not groups:
        return []
    from s2g.report.html.gallery_page import write_gallery_page

    return [
        write_gallery_page([job.score.run for job in group], group[0].root, stem.with_name(f"{stem.name}{suffix}.html"))
        for group, suffix in zip(groups.values(), ["", *(f"-{n}" for n in range(2, len(groups) + 1))], strict=True)
    ]

"""`s2g methods`: every guidance method on a built-in model, beside CFG of the same strength and cost."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, Profile, Runs, Workers
from s2g.engine.pool import Pool
from s2g.errors import unknown
from s2g.experiments.methods import compare_methods, read_chosen, results_of
from s2g.experiments.produce import produce
from s2g.experiments.specification import METHODS, command_of
from s2g.experiments.trail import ENDING, collect_trail, write_trail
from s2g.experiments.tuning_specification import read_tuning
from s2g.io.atomic import write_bytes, write_json
from s2g.report.control import control_paragraph
from s2g.report.methods_table import methods_table, note_of, short_table
from s2g.report.tables import to_console, to_latex, to_markdown

FILES = {"tiny": EXPERIMENTS / "methods.yaml", "real": EXPERIMENTS / "methods_real.yaml"}


def make_methods(path: Path, num: int | None, root: str, out: Path, pool: Pool) -> None:
    """Sample and score every row of an experiment's YAML on the reporting seed; write the table as Markdown, LaTeX and JSON."""
    began = time.perf_counter()
    whole, console = read_tuning(path), Console(highlight=False)
    stem = out / stem_of(path)
    command = command_of(METHODS, stem.name.rpartition("-")[2], num)
    experiment, chosen = read_chosen(path, whole)
    num, seed = num or experiment.report.num, experiment.report.seed
    untuned = ", ".join(whole.rows[row].label for row in whole.rows if row not in experiment.rows)
    left_out = [f"Left out, since their knobs are not tuned yet (make tune-{path.stem}): {untuned}."] if untuned else []
    console.print(*left_out, end="\n" if left_out else "", soft_wrap=True, markup=False)
    console.print(f"{len(experiment.rows)} rows and CFG at the same strength, {num} items each, seed {seed}")
    scored = partial(produce, root=root, pool=pool, console=console)
    entries, scores = compare_methods(experiment, chosen, num, scored)
    against = entries[experiment.against].score
    results = results_of(experiment, entries, against, command)
    table, control = methods_table(results, knobs=True), control_paragraph(results)
    notes = [note_of(experiment, against, command), *left_out, *([control] if control else [])]
    out.mkdir(parents=True, exist_ok=True)
    write_json(stem.with_suffix(".json"), results)
    write_bytes(stem.with_suffix(".md"), "\n".join([to_markdown(table), *(f"{note}\n" for note in notes)]).encode())
    write_bytes(stem.with_suffix(".tex"), to_latex(table, notes).encode())
    write_json(out / f"{stem.name}.runs.json", {"runs": sorted(scores)})  # keeps s2g gc from deleting them
    write_trail(out / f"{stem.name}{ENDING}", collect_trail(scores.values(), root))
    console.print(to_console(short_table(methods_table(results))))
    console.print("\n".join(notes), soft_wrap=True, markup=False)
    console.print(f"{time.perf_counter() - began:.0f} s. {stem}.md, .tex, .json, {ENDING}", soft_wrap=True)


def stem_of(path: Path) -> str:
    """Return the name of an experiment's results: methods-tiny of methods.yaml, methods-real of methods_real.yaml."""
    name, _, profile = path.stem.partition("_")
    return f"{name}-{profile or 'tiny'}"


def methods(
    profile: Profile = "tiny",
    num: Annotated[int | None, typer.Option(help="Items per row; default: the experiment's own number.")] = None,
    runs: Runs = "runs",
    out: Annotated[Path, typer.Option(help="Folder for the table, as Markdown, LaTeX and JSON.")] = Path("outputs/methods"),
    workers: Workers = None,
) -> None:
    """Make the table of methods."""
    if profile not in FILES:
        raise unknown("--profile", profile, FILES)
    with Pool(workers) as pool:
        make_methods(FILES[profile], num, runs, out, pool)

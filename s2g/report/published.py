"""What was measured before, printed, drawn, and held against today: from its files alone, no model, no run, no store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.measure import keys_of
from s2g.experiments.results import Results
from s2g.experiments.runner import resolve_rows
from s2g.experiments.specification import PROFILES, ExperimentSpec, command_of
from s2g.experiments.specification_file import experiment_files, read_experiment
from s2g.report.gallery import Gallery, read_gallery
from s2g.report.results_table import console_of, notes
from s2g.report.write_results import make_folder


def draw_results(folder: Path, measured: Path, out: Path, console: Console) -> None:
    """Draw everything measured that has a picture, from the files in `measured`, to `out`: no model, no run, no store."""
    from s2g.report.plots import write_pictures

    make_folder(out)
    for experiment, results in measured_results(folder, measured):
        for path in write_pictures(experiment, results, kept_gallery(results, measured), out, measured):
            console.print(os.path.relpath(path), soft_wrap=True)


def kept_gallery(results: Results, out: Path) -> Gallery | None:
    """The images that were kept with results, None where there are none."""
    path = out / f"{results.exhibit}-{results.profile}.gallery.json"
    return read_gallery(path) if path.exists() else None


def measured_results(folder: Path, out: Path) -> Iterator[tuple[ExperimentSpec, Results]]:
    """Yield every result in `out` with its experiment; UserError if there is none."""
    known = experiment_files(folder, out)
    files = [(name, profile, out / f"{name}-{profile}.json") for name in known for profile in PROFILES]
    if not any(path.exists() for _, _, path in files):
        raise UserError(
            f"{out}: there are no measured results"
            + ("" if folder.is_dir() else f", and no experiments in {folder}: an installed package has neither"),
            todo="in a checkout, make table2 (or s2g table table2 --out FOLDER) measures one",
        )
    for name, profile, path in files:
        if path.exists():
            experiment = read_experiment(known[name])
            yield experiment, Results.load(path, experiment.profile(profile).columns)


def print_results(folder: Path, out: Path, console: Console) -> None:
    """What was measured and written before: no model, no run, no store; stale rows are named."""
    for experiment, results in measured_results(folder, out):
        console.print(f"{experiment.title}, profile {results.profile}")
        console.print(console_of(experiment, results, console.width))
        console.print("\n".join(notes(experiment, results)), soft_wrap=True)
        old = stale(experiment, results, folder)
        if old:
            again = command_of(experiment.name)
            console.print(f"stale: {', '.join(old)} would be other runs today; {again} makes them again", soft_wrap=True)
        console.print()


def stale(experiment: ExperimentSpec, results: Results, folder: Path) -> list[str]:
    """Rows whose keys are not what the same rows would have today, or that are no rows any more."""
    profile = experiment.profile(results.profile)
    rows = resolve_rows(profile, results.num)
    today: dict[tuple[str, str], dict[int, Run]] = {}
    for index, run in rows.runs.items():
        spec = rows.specs[index]
        today.setdefault((spec.group, spec.row), {})[index] = run
    matched = {(spec.group, spec.row) for spec in rows.specs if spec.match}  # to a scale that is known once they are run
    keys = {row: keys_of(rows.specs, runs) for row, runs in today.items()}
    return [
        f"{row.group}/{row.row}"
        for row in results.rows
        if row.keys
        and (row.group, row.row) not in matched
        and (keys.get((row.group, row.row)) != dict(row.keys) or profile.reference(row.row) != row.against)
    ]

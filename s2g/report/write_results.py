"""Write an experiment's results as files (JSON, Markdown, CSV, LaTeX, pictures, gallery) and print its table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from s2g.errors import UserError
from s2g.experiments.results import Results, counts_of
from s2g.experiments.runner import Measured
from s2g.experiments.specification import ExperimentSpec, Profile
from s2g.experiments.trail import collect_trail, write_trail
from s2g.io.atomic import write_bytes, write_json
from s2g.report.drawing import read_drawing, write_arrays
from s2g.report.gallery import Gallery, gallery_of, write_gallery
from s2g.report.results_table import console_of, csv_of, markdown_of, results_table, tex_of
from s2g.scoring.score import Score


def make_folder(out: Path) -> None:
    """Make the folder of --out; UserError if it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})", todo="--out FOLDER") from error


def write_measured(experiment: ExperimentSpec, profile: Profile, measured: Measured, root: str, out: Path) -> list[str]:
    """Write all files of an experiment that was just measured; its runs must still be in use. Return the endings."""
    rows, drawn = measured.rows, None
    if profile.drawing is not None and rows.runs:
        drawn = read_drawing(profile.drawing).collect(profile, rows.specs, rows.runs, root)
    endings = write_results(measured.results, experiment, gallery_of_rows(profile, measured, root), out, drawn)
    if measured.scores:
        stem = f"{measured.results.exhibit}-{measured.results.profile}"
        write_trail(out / f"{stem}.items.npz", collect_trail(measured.scores.values(), root))
        endings.append(".items.npz")
    return endings


def print_table(experiment: ExperimentSpec, results: Results, console: Console) -> None:
    """Print the table of results with its remarks."""
    console.print(console_of(experiment, results, console.width))
    for remark in results_table(experiment, results).numbered_remarks:  # a cell refers to them by number
        console.print(remark, soft_wrap=True, markup=False)
    more = len(experiment.profile(results.profile).columns) - 2
    if more > 0:
        console.print(f"and {more} more column{'s' * (more > 1)} in the files")


def summary(results: Results, seconds: float, out: Path, endings: list[str]) -> str:
    """Return the closing line: how many items were measured, how long it took, and where the files are."""
    files = f"{out / f'{results.exhibit}-{results.profile}'}{', '.join(endings)}"
    return f"{counts_of(results)}; {seconds:.0f} s. {files}"


def gallery_of_rows(profile: Profile, measured: Measured, root: str) -> Gallery | None:
    """Return the items that a profile shows, under every row that was run; None if it shows none or nothing was run.

    Groups with other items than the first one's (other prompts) are left out: their noises could not be compared.
    """
    scores = measured.scores
    if profile.grid is None or not scores:
        return None
    many_groups, against, first = len(profile.groups) > 1, "", next(iter(scores.values())).run
    shown: dict[str, Score] = {}
    labels: dict[str, str] = {}
    for index, score in scores.items():
        spec, run = measured.rows.specs[index], score.run
        name = f"{spec.group}.{spec.row}" if many_groups else spec.row
        if name in shown or (run.bench.items_id(), run.seed) != (first.bench.items_id(), first.seed):
            continue  # a row of several runs shows its first
        shown[name] = score
        labels[name] = f"{profile.groups[spec.group].label}, {spec.label}" if many_groups else spec.label
        against = name if spec.row == profile.against and not against else against
    items = profile.grid.items
    chosen = range(items.start, min(items.stop, *(score.run.num for score in shown.values())))
    return gallery_of(shown, labels, against or next(iter(shown)), chosen, root) if chosen else None


def write_results(
    results: Results,
    experiment: ExperimentSpec,
    gallery: Gallery | None,
    out: Path,
    drawn: Mapping[str, np.ndarray] | None = None,
) -> list[str]:
    """Write results, tables, plots, images and the keys of their runs to out/NAME-PROFILE.*; return the endings.

    drawn: the arrays of the drawing; without them the arrays that are already there are kept.
    """
    from s2g.report.plots import write_pictures  # matplotlib, which printing does not need

    stem = f"{results.exhibit}-{results.profile}"
    results.write(out / f"{stem}.json")
    for ending, text in (("md", markdown_of), ("csv", csv_of), ("tex", tex_of)):
        write_bytes(out / f"{stem}.{ending}", text(experiment, results).encode())
    keys = sorted({key for row in results.rows for key in row.keys.values()})
    write_json(out / f"{stem}.runs.json", {"runs": keys})
    endings = [".json", ".md", ".csv", ".tex"]
    for old in (f"{stem}.gallery.json", f"{stem}.grid.svg", f"{stem}.grid.png"):  # left by an earlier, longer run
        if gallery is None:
            (out / old).unlink(missing_ok=True)
    if gallery is not None:
        write_gallery(out / f"{stem}.gallery.json", gallery)
        endings.append(".gallery.json")
    if drawn is not None:
        write_arrays(out / f"{stem}.drawing.npz", drawn)
        endings.append(".drawing.npz")
    return endings + [path.name.removeprefix(stem) for path in write_pictures(experiment, results, gallery, out)]

"""make table2: plan, run what the store lacks, score, write; printing from what was written needs none of it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console

from s2g import __version__
from s2g.engine.environment import machine
from s2g.engine.pool import Pool
from s2g.engine.run import Run, outline, resolve
from s2g.errors import NotBuiltError, UserError, lacks
from s2g.experiments.composition import composed, composing, named
from s2g.experiments.measure import columns_of, measure
from s2g.experiments.results import NOT_BUILT, Results, counts_of
from s2g.experiments.specification import ExperimentSpec, Profile, RunSpec, run_specs
from s2g.experiments.specification_file import find_experiment
from s2g.experiments.studies.study import asks_networks
from s2g.experiments.study_rows import measure_study, study_columns
from s2g.experiments.trained import trained
from s2g.integrations.wandb.run_log import WandbConfig
from s2g.integrations.wandb.table_log import log_experiment
from s2g.io.atomic import write_bytes, write_json
from s2g.io.interrupt import uninterrupted
from s2g.report.drawing import read_drawing, write_arrays
from s2g.report.gallery import Gallery, gallery_of, write_gallery
from s2g.report.results_table import console_of, csv_of, markdown_of, paper_table, results_table, tex_of
from s2g.report.tables import to_console
from s2g.scoring.score import Score, score, score_name
from s2g.scoring.scoring_pool import Crew
from s2g.store.locks import in_use
from s2g.store.store import Store

LACKING = re.compile(r"((?:model|guidance|bench)\.[\w.]+) = (.+?): (.*)|(environment \w+: it is not built)")
K = TypeVar("K")


@dataclass(frozen=True)
class Maker:
    """One command: which exhibits in which profile, how many items, where samples and results lie."""

    folder: Path  # of the experiments
    out: Path
    root: str
    num: int | None
    workers: int | None
    command: str
    logger: WandbConfig | None = None

    def make(self, name: str, profile_name: str, console: Console, pool: Pool | None = None) -> Results | None:
        """One table or figure: what can be run is run, its files are written, its table printed; None if only printed.

        pool: workers that are there already, for several tables in one go.
        """
        began = time.perf_counter()
        experiment = find_experiment(self.folder, name)
        if experiment.only_printed:
            console.print(to_console(paper_table(experiment)))
            console.print(f"The paper's numbers alone; there is nothing to run: {experiment.only_printed}", soft_wrap=True)
            return None
        profile = experiment.profile(profile_name)
        try:  # before anything is sampled
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {self.out}: cannot be written ({error.strerror})", todo="--out FOLDER") from error
        rows, runs, why = self.resolved(profile)
        # Before anything is sampled: a metric that is not there is a mistake.
        columns = study_columns(experiment, profile, rows) if profile.study else columns_of(profile, rows)
        with ExitStack() as used:
            scores: dict[int, Score] = {}
            if not profile.study:
                pool = pool or used.enter_context(Pool(self.workers))
                # The same samples may be scored in several ways: by one bench's two scorers.
                ways = {place: (run.key, score_name(run.bench, run.num)) for place, run in runs.items()}
                found = self.scores({ways[place]: run for place, run in runs.items()}, pool, used, console)
                scores = {place: found[way] for place, way in ways.items()}
            made = {
                "command": self.command,
                "date": f"{datetime.now(UTC):%Y-%m-%d}",
                "machine": machine(),
                "torch": version("torch"),
                "s2g": __version__,
            }
            if profile.study:
                measured = measure_study(experiment, profile, rows, runs, why)
            else:
                measured = measure(profile, rows, scores, why, self.root)
            results = Results(experiment.name, profile.name, self.num, made, columns, measured)
            gallery = gallery_of_rows(profile, rows, scores, self.root)
            drawn = None
            if profile.drawing is not None and runs:
                drawn = read_drawing(profile.drawing).collect(profile, rows, runs, self.root)
        endings = write(results, experiment, gallery, self.out, drawn)
        console.print(console_of(experiment, results, console.width))
        for remark in results_table(experiment, results).numbered_remarks:  # a number in a cell is of no use without its words
            console.print(remark, soft_wrap=True, markup=False)
        more = len(profile.columns) - 2
        if more > 0:
            console.print(f"and {more} more column{'s' * (more > 1)} in the files")
        files = f"{self.out / f'{experiment.name}-{profile.name}'}{', '.join(endings)}"
        console.print(f"{counts_of(results)}; {time.perf_counter() - began:.0f} s. {files}", soft_wrap=True)
        if self.logger is not None:
            console.print(log_experiment(self.logger, experiment, results, self.out), soft_wrap=True)
        return results

    def resolved(self, profile: Profile) -> tuple[list[RunSpec], dict[int, Any], dict[int, str]]:
        """Rows; by their place the runs of those that can be run, and why the others cannot.

        Of a study that asks no network the runs are outlines: they need no weights.
        """
        rows, runs, why = run_specs(profile), {}, {}
        weights = not profile.study or asks_networks(profile.study)
        with composing():
            for place, spec in enumerate(rows):
                raw = composed(spec)
                if self.num is not None:
                    raw["num"] = self.num
                try:
                    with named(spec):
                        if not weights:
                            runs[place] = outline(raw)
                            continue
                        run = trained(resolve(raw)[0])
                        _ = run.key  # asks for the weights
                    runs[place] = run
                except NotBuiltError:
                    why[place] = NOT_BUILT
                except UserError as error:
                    if not lacks(error):
                        raise
                    why[place] = what_lacks(str(error), raw["model"])
        return rows, runs, why

    def scores(self, ways: Mapping[K, Run], pool: Pool, used: ExitStack, console: Console) -> dict[K, Score]:
        """Scores by the same names, sampled where the store lacks them; the runs are said to be in use until `used` ends."""
        runs = list(ways.values())
        stores = {run.key: Store.of(run, self.root) for run in runs}
        for run in runs:
            stores[run.key].begin(run, True)
            used.enter_context(in_use(stores[run.key].folder))
        if any(stores[run.key].missing(run) for run in runs):
            with uninterrupted():
                from s2g.engine.execute import execute
            made = execute(runs, self.root, pool.executor, True, console)
            for run in runs:
                made.check(run)
        crew = Crew(lambda: pool.executor, console)
        return {way: score(run, stores[run.key], crew) for way, run in ways.items()}


def what_lacks(said: str, model: Mapping[str, Any]) -> str:
    """A row's status where something is not here, from the error that says so: what, and for a network from where."""
    found = LACKING.search(said)
    if found is None or found[4]:
        return said.splitlines()[0] if found is None else found[4]
    key, value, why, _ = found.groups()
    if key.startswith("bench."):  # what scores, not what samples
        return f"no file: {key} = {value}" if why.startswith("no ") else f"{key} = {value}: {why}"
    source = str(model.get("source", ""))  # most name the file themselves
    network = source if source.startswith(model["weights"]) else f"{model['weights']}{f' ({source})' * bool(source)}"
    if key == "model.vae":
        return f"no decoder: {value}; the network: {network}"
    return f"no weights: {network if key == 'model.weights' else f'{key} = {value}'}"


def gallery_of_rows(profile: Profile, rows: Sequence[RunSpec], scores: Mapping[int, Score], root: str) -> Gallery | None:
    """The items that a profile shows, under every row that was run; None where it shows none or nothing was run.

    Groups whose items are others than the first one's (other prompts) are left out: noises could not be compared.
    """
    if profile.grid is None or not scores:
        return None
    several, against, first = len(profile.groups) > 1, "", next(iter(scores.values())).run
    shown: dict[str, Score] = {}
    labels: dict[str, str] = {}
    for place, found in scores.items():
        spec, run = rows[place], found.run
        name = f"{spec.group}.{spec.row}" if several else spec.row
        if name in shown or (run.bench.items_id(), run.seed) != (first.bench.items_id(), first.seed):
            continue  # of a row that is several runs, the first
        shown[name] = found
        labels[name] = f"{profile.groups[spec.group].label}, {spec.label}" if several else spec.label
        against = name if spec.row == profile.against and not against else against
    items = profile.grid.items
    chosen = range(items.start, min(items.stop, *(found.run.num for found in shown.values())))
    return gallery_of(shown, labels, against or next(iter(shown)), chosen, root) if chosen else None


def write(
    results: Results,
    experiment: ExperimentSpec,
    gallery: Gallery | None,
    out: Path,
    drawn: Mapping[str, np.ndarray] | None = None,
) -> list[str]:
    """NAME-PROFILE with these endings, which are returned: results, tables, plot, images; and which runs they speak of.

    drawn: the arrays of its drawing; those that lie there already, if none are given.
    """
    from s2g.report.plots import write_pictures  # matplotlib, which printing does not need

    stem = f"{results.exhibit}-{results.profile}"
    results.write(out / f"{stem}.json")
    for ending, text in (("md", markdown_of), ("csv", csv_of), ("tex", tex_of)):
        write_bytes(out / f"{stem}.{ending}", text(experiment, results).encode())
    keys = sorted({key for row in results.rows for key in row.keys.values()})
    write_json(out / f"{stem}.runs.json", {"runs": keys})
    endings = [".json", ".md", ".csv", ".tex"]
    for old in (f"{stem}.gallery.json", f"{stem}.grid.svg", f"{stem}.grid.png"):  # of more items than there are now
        if gallery is None:
            (out / old).unlink(missing_ok=True)
    if gallery is not None:
        write_gallery(out / f"{stem}.gallery.json", gallery)
        endings.append(".gallery.json")
    if drawn is not None:
        write_arrays(out / f"{stem}.drawing.npz", drawn)
        endings.append(".drawing.npz")
    return endings + [path.name.removeprefix(stem) for path in write_pictures(experiment, results, gallery, out)]

"""`s2g table`: run what is missing of tables and figures, print and write them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, Executor, ItemsPerRow, Profile, Runs, Workers, executor_config
from s2g.cli.run import made_here
from s2g.engine.pool import Pool
from s2g.experiments.produce import sampled
from s2g.experiments.results import Results
from s2g.experiments.runner import resolve_rows, run_experiment
from s2g.experiments.specification_file import expand_panels, find_experiment, keep_own_file
from s2g.integrations.wandb.run_log import WandbConfig, read_logger
from s2g.integrations.wandb.table_log import log_experiment
from s2g.report.results_table import paper_table
from s2g.report.tables import to_console
from s2g.report.write_results import make_folder, print_table, summary, write_measured
from s2g.store.store import Store


@dataclass(frozen=True)
class TableMaker:
    """One command's settings: folder of the experiments, folder of the results, store, item count, workers."""

    folder: Path
    out: Path
    root: str
    num: int | None  # None: each profile's own number of items
    workers: int | None
    logger: WandbConfig | None = None

    def make(self, name: str, profile_name: str, console: Console, pool: Pool | None = None) -> Results | None:
        """Run, print and write one table or figure; return None if the paper's numbers are all there is.

        pool: workers shared with other tables; without it this table starts its own.
        """
        began = time.perf_counter()
        experiment = find_experiment(self.folder, name)
        if experiment.only_printed:
            console.print(to_console(paper_table(experiment)))
            console.print(f"Only the paper's numbers; nothing to run: {experiment.only_printed}", soft_wrap=True)
            return None
        profile = experiment.profile(profile_name)
        make_folder(self.out)
        with Pool(self.workers) as own:
            shared = (self.num, self.root, pool or own, console)
            with run_experiment(experiment, profile, *shared) as measured:
                endings = write_measured(experiment, profile, measured, self.root, self.out)
                keep_own_file(self.folder, name, self.out)
        results = measured.results
        print_table(experiment, results, console)
        console.print(summary(results, time.perf_counter() - began, self.out, endings), soft_wrap=True)
        if self.logger is not None:
            console.print(log_experiment(self.logger, experiment, results, self.out), soft_wrap=True)
        return results

    def sample(self, name: str, profile_name: str, console: Console, pool: Pool) -> None:
        """Sample what a table's rows lack and no other process is sampling; nothing is scored or written."""
        experiment = find_experiment(self.folder, name)
        profile = None if experiment.only_printed else experiment.profile(profile_name)
        if profile is None or profile.study:
            console.print(f"{name}: it has no units to share; without --no-score the command makes it", soft_wrap=True)
            return
        runs = list({run.key: run for run in resolve_rows(profile, self.num).runs.values()}.values())
        with sampled(runs, self.root, pool, console, wait=False) as samples:
            left = sum(len(Store.of(run, self.root).missing(run)) for run in runs)
        console.print(f"{name}: {made_here(samples.made, left, self.root)}", soft_wrap=True)


def table(
    names: Annotated[
        list[str],
        typer.Argument(help="Names of experiments, or paths of their files: table1, fig7, mine.yaml."),
    ],
    profile: Profile = "tiny",
    num: ItemsPerRow = None,
    runs: Runs = "runs",
    out: Annotated[Path, typer.Option(help="Folder for JSON, Markdown, CSV and LaTeX.")] = Path("outputs/results"),
    workers: Workers = None,
    executor: Executor = "local",
    logger: Annotated[str, typer.Option(help="wandb: also log the table and pictures to Weights & Biases.")] = "none",
    no_score: Annotated[
        bool, typer.Option("--no-score", help="Sample what no other process is sampling and end: one of many workers.")
    ] = False,
) -> None:
    """Make each table or figure, all with one pool of workers: run what is missing, score, print, write."""
    maker = TableMaker(EXPERIMENTS, out, runs, num, workers, read_logger({"name": logger}))
    with Pool(config=executor_config(executor, workers)) as pool:
        for panel in [panel for name in names for panel in expand_panels(maker.folder, name)]:
            (maker.sample if no_score else maker.make)(panel, profile, Console(highlight=False), pool)

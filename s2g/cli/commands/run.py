"""`s2g run`: the same as python run.py. `s2g submit`: a run or a table as SLURM jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.run import main
from s2g.cli.slurm import SlurmJobs
from s2g.errors import UserError


def run(context: typer.Context) -> int:
    """Pass all arguments to Hydra; return the exit code."""
    return main(context.args)


def submit(
    context: typer.Context,
    gpus: Annotated[int, typer.Option(min=1, help="Workers, one GPU each.")] = 8,
    sbatch: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="An option of sbatch for all jobs: --sbatch=--partition=h100.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the jobs; submit nothing.")] = False,
) -> int:
    """Submit `run KEY=VALUE ...` or `table NAME ...` and return at once: workers that share the store, then scoring."""
    misplaced = [word for word in context.args if word.partition("=")[0] in ("--gpus", "--sbatch", "--dry-run")]
    if misplaced:  # behind the command it would be the command's, and a dry run would submit
        raise UserError(
            f"{misplaced[0]}: an option of submit, behind the command",
            todo=f"s2g submit {misplaced[0]} {context.args[0]} ...",
        )
    jobs = SlurmJobs(context.args, gpus, sbatch or ())
    console = Console(highlight=False)
    if context.args[0] == "run" and (code := main([*context.args[1:], "plan=true"])):
        return code  # a mistake is found here, not in a queue
    if dry_run:
        console.print(f"{jobs.worker()}\n{jobs.scorer('ID of the array')}", soft_wrap=True, markup=False)
        return 0
    Path(jobs.logs).mkdir(parents=True, exist_ok=True)
    array, scorer = jobs.submit()
    console.print(f"job {array}: {gpus} workers; job {scorer}: what is still missing then, and the scores", soft_wrap=True)
    console.print(f"  logs: {jobs.logs}; progress: s2g status --watch; end: scancel {array} {scorer}", soft_wrap=True)
    return 0

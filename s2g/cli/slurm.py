"""A command as SLURM jobs: an array of workers with one GPU each that share the store, and a job that scores after them.

The workers are independent: they know nothing of each other or of their number, take free units from the store, and end
when none is left. One that is preempted or runs out of time is queued again; whatever is still missing when the array is
done, the scoring job makes: it is the command itself.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from s2g.errors import UserError, unknown

KINDS = {"run": ("executor.workers=1", "score=false"), "table": ("--workers=1", "--no-score")}
NOTICE = 120  # seconds before the time limit at which a worker gives its unit back


@dataclass(frozen=True)
class SlurmJobs:
    """The two jobs of a command; options: further options of sbatch for both, such as --account=NAME."""

    command: Sequence[str]  # run KEY=VALUE ... or table NAME ..., as after `s2g`
    gpus: int
    options: Sequence[str] = ()
    logs: str = "outputs/slurm"

    def __post_init__(self) -> None:
        if not self.command or self.command[0] not in KINDS:
            raise unknown("COMMAND", self.command[0] if self.command else "", list(KINDS))

    def worker(self) -> str:
        """Return the script of the array."""
        kind, *rest = self.command
        alone, no_score = KINDS[kind]
        lines = [
            *self._head("%A_%a", [f"--array=0-{self.gpus - 1}", f"--signal=B:USR1@{NOTICE}"]),
            # Out of time: end the worker, which gives its unit back, and queue this task again.
            """trap 'kill -TERM $worker; wait $worker; scontrol requeue "$SLURM_JOB_ID"; exit 0' USR1""",
            f"{self._typed([kind, alone, *rest, no_score])} &",
            "worker=$!",
            "wait $worker",
        ]
        return "\n".join(lines) + "\n"

    def scorer(self, array: str) -> str:
        """Return the script of the job that waits for the array, makes what is missing, and scores."""
        lines = [*self._head("%j", [f"--dependency=afterany:{array}"]), f"exec {self._typed(self.command)}"]
        return "\n".join(lines) + "\n"

    def submit(self) -> tuple[str, str]:
        """Submit both; return their job ids. UserError where there is no SLURM or it refuses."""
        if shutil.which("sbatch") is None:
            raise UserError(
                "sbatch: there is no such command on this machine",
                todo="type it where jobs are submitted from; --dry-run prints the jobs; without SLURM, start workers yourself: "
                f"s2g {shlex.join([*self.command, KINDS[self.command[0]][1]])}",
            )
        array = _sbatch(self.worker())
        return array, _sbatch(self.scorer(array))

    def _head(self, log: str, own: Sequence[str]) -> list[str]:
        common = ["--job-name=s2g", "--gres=gpu:1", "--requeue", "--open-mode=append", f"--output={self.logs}/{log}.log"]
        return ["#!/bin/bash", *(f"#SBATCH {option}" for option in [*common, *own, *self.options])]

    @staticmethod
    def _typed(command: Sequence[str]) -> str:
        return shlex.join([sys.executable, "-m", "s2g.cli.main", *command])


def _sbatch(script: str) -> str:
    done = subprocess.run(["sbatch", "--parsable"], input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            f"sbatch: {done.stderr.strip()}", todo="--dry-run prints what was asked for; --sbatch OPTION changes it"
        )
    return done.stdout.strip().partition(";")[0]  # ID or ID;CLUSTER

"""Produce scores: sample what the store lacks, then score. Runs, sweeps, tables, tuning and the demo all go through here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rich.console import Console

from s2g.config.kernels import DEFAULT
from s2g.engine.pool import Pool
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.io.interrupt import uninterrupted
from s2g.scoring.score import Score, ScoreJob, score
from s2g.scoring.scoring_pool import ScoringPool
from s2g.store.code_changes import code_changes
from s2g.store.locks import in_use
from s2g.store.store import Store


@dataclass(frozen=True)
class Samples:
    """Stored items of several runs, marked as in use."""

    runs: Sequence[Run]
    root: str
    pool: Pool
    console: Console
    made: int  # items sampled now; the others were stored already

    def scores(self) -> list[Score]:
        """Score each run, in order; UserError and IsolatedError as the scorers raise them."""
        workers = ScoringPool(lambda: self.pool.executor, self.console)
        return [score(run, Store.of(run, self.root), workers) for run in self.runs]


@contextmanager
def sampled(runs: Sequence[Run], root: str, pool: Pool, console: Console, wait: bool = True) -> Iterator[Samples]:
    """Sample what the store below `root` lacks of the runs; they are marked as in use until the block ends.

    wait: for the units that other processes are sampling; without them there may be nothing to score yet.
    Workers start and torch is imported only if an item is missing. Raises UnitsFailedError if units could not be made.
    """
    stores = {run.key: Store.of(run, root) for run in runs}
    made = 0
    if pool.config.kernels != DEFAULT:  # before a run is begun with what cannot be
        for run in runs:
            pool.config.kernels.check(pool.executor.device, run.model.dtype, run.model.memory)
    with ExitStack() as used:
        for run in runs:
            if note := code_changes(run, root):
                console.print(note, soft_wrap=True, markup=False)
            used.enter_context(in_use(stores[run.key].folder))  # first: what a run fixes may change while nobody uses it
            stores[run.key].begin(run, pool.config.reuse, pool.config.kernels)
        if any(stores[run.key].missing(run) for run in runs):
            with uninterrupted():
                from s2g.engine.execute import execute
            # Of several runs, one that is done is scored while the others are sampled; a single one by this process, below.
            overlapping = wait and len(runs) > 1
            then = (lambda run: ScoreJob.of(run, root)) if overlapping else (lambda run: None)
            config = pool.config
            done = execute(runs, root, pool.executor, config.reuse, console, None, wait, then, config.kernels)
            for run in runs:
                done.check(run)
            made = done.items
        yield Samples(runs, root, pool, console, made)


def produce(runs: Sequence[Run], root: str, pool: Pool, console: Console) -> list[Score]:
    """Return the score of each run, in order, sampling what the store lacks."""
    with sampled(runs, root, pool, console) as samples:
        return samples.scores()


def require_trained(run: Run) -> Run:
    """Return the run; UserError if any of its weights are random, since a reader would take its numbers for results."""
    if run.random:
        raise UserError(
            f"model = {run.model.name}: random weights never enter a results table",
            todo="give trained weights (model.weights, model.vae, guidance.weak); python run.py runs random ones",
        )
    return run

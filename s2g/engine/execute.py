"""Sample the units that runs lack, with several workers and several processes at once.

Each unit is sampled under its lock, so any number of processes on the same runs take other units each. A unit that fails
is tried again, then set aside for all of them; a user error or a full disk stops everything at once.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from s2g.config.kernels import DEFAULT, Kernels
from s2g.engine.environment import environment
from s2g.engine.executors.executor import Executor
from s2g.engine.progress import progress
from s2g.engine.run import Run
from s2g.engine.steps import share_done
from s2g.engine.worker import Job, Outcome, Task
from s2g.errors import UnitsFailedError
from s2g.store.env_file import add_environment
from s2g.store.journal import Journal
from s2g.store.locks import Lock, Locks
from s2g.store.store import Store

ATTEMPTS = 3
HOPELESS = 3  # units set aside with none stored, after which a run is given up


@dataclass
class Work:
    """The units that one run lacks, and what has become of them."""

    run: Run
    store: Store
    locks: Locks
    journal: Journal
    environment: str
    units: list[int]
    has_stored: bool  # whether units were stored before
    failed_before: set[int]  # they come last
    then: list[Job] = field(default_factory=list)  # jobs for when all units are stored
    attempts: Counter[int] = field(default_factory=Counter)
    stored: int = 0  # units, by this process
    there: int = 0  # units, stored by this process or another one
    failed: dict[int, str] = field(default_factory=dict)  # unit -> why
    not_finite: set[str] = field(default_factory=set)  # reasons for NaN or infinity, as outcomes have them

    @property
    def hopeless(self) -> bool:
        """Whether every unit so far has failed."""
        return not self.has_stored and self.stored == 0 and len(self.failed) >= HOPELESS


@dataclass(frozen=True)
class Made:
    """The number of items sampled here, and the failures of each run."""

    items: int
    failed: dict[str, str]  # run key -> message

    def check(self, run: Run) -> None:
        """Raise UnitsFailedError if units of this run failed."""
        if run.key in self.failed:
            raise UnitsFailedError(self.failed[run.key])


def execute(
    runs: Sequence[Run],
    root: str,
    executor: Executor,
    reuse: bool,
    console: Console,
    again: Mapping[int, Mapping[str, str]] | None = None,
    wait: bool = True,
    then: Callable[[Run], Job | None] = lambda run: None,
    kernels: Kernels = DEFAULT,
) -> Made:
    """Sample what the runs still lack below `root`; the folder of each has been opened by Store.begin.

    again: sample these units instead, whether or not they are stored; for each, the sha256 of the items to be kept.
    wait: until the units that other processes are sampling are stored too; else end once none is free.
    then: what a worker does once all units of a run are stored, if anything, while others sample; what comes of it is ignored.

    The units of several runs take turns, so that a machine that slows down slows all of them. UserError and OSError are
    raised as soon as they occur, since no other unit would fare better; stored units stay.
    """
    works: dict[str, Work] = {}
    for run in sorted(runs, key=lambda run: -run.num):  # of runs with one key, the longest holds the others
        if run.key not in works:
            store = Store.of(run, root)
            missing = store.missing(run) if again is None else list(again)
            locks, journal, name = Locks(store.folder), Journal(store.folder), ""
            if missing:
                executor.reach(locks)
                name = add_environment(store, environment(run, executor.device, executor.workers, executor.machine, kernels))
            has_stored = len(missing) < len(run.units)
            works[run.key] = Work(run, store, locks, journal, name, missing, has_stored, store.failed())
        if (job := then(run)) is not None:
            works[run.key].then.append(job)
    pairs = [(unit in work.failed_before, unit, key) for key, work in works.items() for unit in work.units]
    queue: deque[tuple[Work, int | Job]] = deque(
        (works[key], unit) for _, unit, key in sorted(pairs, key=lambda pair: pair[:2])
    )
    concerned = [work for work in works.values() if work.units]
    for work in concerned:
        swept = work.locks.sweep()
        work.journal.add("start", owner=str(work.locks.me), workers=executor.workers, device=executor.device, swept=swept)
    try:
        _Schedule(executor, reuse, again, queue, console, wait, kernels).go([work for work in works.values() if not work.units])
    finally:
        for work in concerned:
            work.locks.close()
            work.journal.add("end", owner=str(work.locks.me), made=work.stored, failed=sorted(work.failed))
    made = sum(work.stored * work.run.model.unit for work in works.values())
    return Made(made, {key: _failure_message(work) for key, work in works.items() if work.failed})


class _Schedule:
    """Units, the workers that sample them and the locks they are sampled under."""

    def __init__(
        self,
        executor: Executor,
        reuse: bool,
        again: Mapping[int, Mapping[str, str]] | None,
        queue: deque[tuple[Work, int | Job]],
        console: Console,
        wait: bool,
        kernels: Kernels,
    ) -> None:
        self.executor, self.reuse, self.again, self.queue, self.wait = executor, reuse, again, queue, wait
        self.kernels = kernels
        self.busy: deque[tuple[Work, int | Job]] = deque()  # locked by another process
        self.running: dict[int, tuple[Work, Lock | None]] = {}  # by id of the task; a job needs no lock
        self.bar = progress(
            console, sum(work.run.model.unit for work, _ in queue), inside=self._inside, workers=lambda: executor.alive
        )

    def go(self, complete: Sequence[Work]) -> None:
        """Work until every unit is stored, here or by another process, or set aside; complete: no unit of theirs is missing."""
        self.queue.extendleft((work, job) for work in complete for job in work.then)
        with self.bar:
            self.executor.work_through(self.queue, self.busy, self.running, self._begin, self._end)

    def _inside(self) -> float:
        """Return how many items' worth of steps is done in the units being sampled."""
        return sum(share_done(lock.scratch) * work.run.model.unit for work, lock in list(self.running.values()) if lock)

    def _begin(self, pieces: list[tuple[Work, int | Job]]) -> None:
        ((work, unit),) = pieces
        if not isinstance(unit, int):
            self.running[id(unit)] = work, None
            self.executor.start(unit)
            return
        if work.hopeless or self._settled(work, unit):
            return
        lock = work.locks.acquire(f"{unit:06d}")
        if lock is None:
            if self.wait:
                self.busy.append((work, unit))
            # Another process is here: go on elsewhere, so that many of them do not try the same units one after another.
            self.queue.rotate(random.randrange(len(self.queue) or 1))
            return
        if self._settled(work, unit):  # since it was looked at
            work.locks.release(lock)
            return
        previous = {"taken_from": lock.taken_from} if lock.taken_from else {}
        work.journal.add("begun", unit=unit, pid=work.locks.me.pid, **previous)
        keep = None if self.again is None else self.again[unit]
        task = Task(work.run, unit, work.store, lock.scratch, self.reuse, work.environment, keep, self.kernels)
        self.running[id(task)] = work, lock
        self.executor.start(task)

    def _settled(self, work: Work, unit: int) -> bool:
        """Return whether another process has stored the unit, or set it aside, since this one started; count it if so."""
        if self.again is not None:
            return False
        stored = work.store.suffices(work.run, unit)
        error = "" if stored or unit in work.failed_before else work.store.why_failed(unit)
        if error:
            work.failed[unit] = error
            self.bar.advance(work.run.model.unit, failed=True)
        elif stored:
            self._stored(work)
        return bool(stored or error)

    def _stored(self, work: Work) -> None:
        """Count a stored unit; after the last one of a run come its jobs, before the units of others."""
        work.there += 1
        self.bar.advance(work.run.model.unit)
        if work.there == len(work.units):
            self.queue.extendleft((work, job) for job in work.then)

    def _end(self, task: Any, outcome: Outcome) -> None:
        work, lock = self.running.pop(id(task))
        if lock is None:
            return
        lost = not lock.ours()
        # A worker may die between storing a unit and saying so; under this lock, no other process can have stored it.
        ours = outcome.fatal is None and not lost and self.again is None
        stored = not outcome.error or (ours and work.store.suffices(work.run, task.unit))
        work.locks.release(lock)
        if stored:
            work.stored += 1
            work.journal.add("stored", unit=task.unit, items=task.run.model.unit, seconds=round(outcome.seconds, 4))
            self._stored(work)
        elif lost:  # this process stalled for so long that another one took over
            self.busy.append((work, task.unit))
        elif outcome.fatal is not None:
            raise outcome.fatal
        else:
            self._failed(work, task.unit, outcome)

    def _failed(self, work: Work, unit: int, outcome: Outcome) -> None:
        work.attempts[unit] += 1
        attempts = work.attempts[unit]
        work.journal.add("failed", unit=unit, attempt=attempts, error=outcome.error)
        if outcome.again and attempts < ATTEMPTS:
            self.queue.append((work, unit))
            return
        work.failed[unit] = outcome.error
        work.not_finite |= {outcome.not_finite} - {""}
        facts = {"attempts": attempts, "error": outcome.error, "traceback": outcome.trace, "environment": work.environment}
        work.store.set_aside(unit, {**facts, "owner": str(work.locks.me)})
        self.bar.advance(work.run.model.unit, failed=True)


def _failure_message(work: Work) -> str:
    """Return the message about a run's failures: every unit, and each error once."""
    folder = work.store.display_path()
    errors = Counter(work.failed.values())
    units = ", ".join(str(unit) for unit in sorted(work.failed))
    lines = [f"{work.run.key}: {len(work.failed)} of {len(work.run.units)} units failed: {units}"]
    lines += [f"  {error}" + (f" ({count} units)" if count > 1 else "") for error, count in errors.items()]
    if work.hopeless:
        lines.append("  none succeeded, so the others were not tried")
    stored = "" if work.hopeless else "; the other units are stored"
    lines.append(f"  tracebacks: {folder}/failed{stored}")
    lines.append(f"  do: {_advice(work)}run the same command to try them again")
    return "\n".join(lines)


def _advice(work: Work) -> str:
    """Return what helps against NaN and infinity: weaker guidance where it is the reason, a wider dtype where there is one."""
    dtype = work.run.model.dtype
    if "guided" in work.not_finite:
        return f"lower guidance.scale or guidance.omega{', or use model.dtype=fp32' if dtype != 'fp32' else ''}; "
    return "use model.dtype=bf16 or model.dtype=fp32; " if work.not_finite and dtype == "fp16" else ""

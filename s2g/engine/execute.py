"""Runs to stored samples: what is missing is made, by several workers and several processes at once.

Every unit is made under its lock, so a second process on the same runs takes the units this one has not. A unit that
fails is tried again, then set aside; a full disk or a mistake in what was asked stops everything at once.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console

from s2g.engine.environment import environment
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.progress import progress
from s2g.engine.run import Run
from s2g.engine.worker import Outcome, Task
from s2g.errors import UnitsFailedError
from s2g.store.journal import Journal
from s2g.store.locks import Lock, Locks
from s2g.store.store import Store

ATTEMPTS = 3
POLL = 0.5  # seconds between looks at units another process is making
HOPELESS = 3  # units set aside, none stored: the run stops instead of failing on and on


@dataclass
class Work:
    """What is to be done for one run, and how far it is."""

    run: Run
    store: Store
    locks: Locks
    journal: Journal
    environment: str
    units: list[int]
    some: bool  # whether units were stored before
    aside: set[int]  # units that failed before: they come last
    attempts: Counter[int] = field(default_factory=Counter)
    made: int = 0
    failed: dict[int, str] = field(default_factory=dict)  # unit -> why
    not_finite: set[str] = field(default_factory=set)  # reasons for NaN or infinity, as outcomes have them

    @property
    def hopeless(self) -> bool:
        """Whether nothing but failures came of it."""
        return not self.some and self.made == 0 and len(self.failed) >= HOPELESS


@dataclass(frozen=True)
class Made:
    """What came of it: items made here, and per run what failed."""

    items: int
    failed: dict[str, str]  # run key -> what to tell the user

    def check(self, run: Run) -> None:
        """UnitsFailedError if units of this run could not be made."""
        if run.key in self.failed:
            raise UnitsFailedError(self.failed[run.key])


def execute(
    runs: Sequence[Run],
    root: str,
    executor: LocalExecutor,
    reuse: bool,
    console: Console,
    again: Mapping[int, Mapping[str, str]] | None = None,
) -> Made:
    """Sample what the runs still lack below `root`; the folder of each has been opened by Store.begin.

    again: make these units instead, whether or not they are stored; for each, the sha256 of the items to be kept.

    The units of several runs take turns, so that a machine that slows down slows all of them. Raises UserError and
    OSError as soon as one says that no unit will go better; what is stored stays.
    """
    works: dict[str, Work] = {}
    for run in sorted(runs, key=lambda run: -run.num):  # of runs with one key, the longest holds the others
        if run.key not in works:
            store = Store.of(run, root)
            missing = store.missing(run) if again is None else list(again)
            name = store.add_environment(environment(run, executor.device, executor.workers)) if missing else ""
            locks, journal = Locks(store.folder), Journal(store.folder)
            some = len(missing) < len(run.units)
            works[run.key] = Work(run, store, locks, journal, name, missing, some, store.failed())
    pairs = [(unit in work.aside, unit, key) for key, work in works.items() for unit in work.units]
    queue = deque((works[key], unit) for _, unit, key in sorted(pairs, key=lambda pair: pair[:2]))
    concerned = [work for work in works.values() if work.units]
    for work in concerned:
        swept = work.locks.sweep()
        work.journal.add("start", owner=str(work.locks.me), workers=executor.workers, device=executor.device, swept=swept)
    executor.expect(len(queue))
    try:
        _Schedule(executor, reuse, again, queue, console).go()
    finally:
        executor.abandon()
        for work in concerned:
            work.locks.close()
            work.journal.add("end", owner=str(work.locks.me), made=work.made, failed=sorted(work.failed))
    made = sum(work.made * work.run.model.unit for work in works.values())
    return Made(made, {key: _told(work) for key, work in works.items() if work.failed})


class _Schedule:
    """Units to workers, until none is left."""

    def __init__(
        self,
        executor: LocalExecutor,
        reuse: bool,
        again: Mapping[int, Mapping[str, str]] | None,
        queue: deque[tuple[Work, int]],
        console: Console,
    ) -> None:
        self.executor, self.reuse, self.again, self.queue = executor, reuse, again, queue
        self.busy: deque[tuple[Work, int]] = deque()  # another process has their locks
        self.running: dict[tuple[str, int], tuple[Work, Lock]] = {}
        self.bar = progress(console, sum(work.run.model.unit for work, _ in queue))

    def go(self) -> None:
        """Work until every unit is stored, here or by another process, or set aside."""
        looked = time.monotonic()
        with self.bar:
            while self.queue or self.busy or self.running:
                if self.busy and time.monotonic() - looked > POLL:
                    self.queue.extend(self.busy)
                    self.busy.clear()
                    looked = time.monotonic()
                while self.queue and self.executor.idle:
                    self._begin(*self.queue.popleft())
                if self.running:
                    for task, outcome in self.executor.wait(POLL if self.busy else None):
                        self._end(task, outcome)
                elif self.busy:
                    time.sleep(POLL / 2)

    def _begin(self, work: Work, unit: int) -> None:
        if work.hopeless:
            return
        name = f"{unit:06d}"
        lock = work.locks.acquire(name)
        if lock is None:
            self.busy.append((work, unit))
            return
        if self.again is None and work.store.serves(work.run, unit):  # another process made it since we looked
            work.locks.release(lock)
            self.bar.advance(work.run.model.unit)
            return
        told = {"taken_from": lock.taken_from} if lock.taken_from else {}
        work.journal.add("begun", unit=unit, pid=work.locks.me.pid, **told)
        self.running[work.run.key, unit] = work, lock
        keep = None if self.again is None else self.again[unit]
        self.executor.start(Task(work.run, unit, work.store, lock.scratch, self.reuse, work.environment, keep))

    def _end(self, task: Task, outcome: Outcome) -> None:
        work, lock = self.running.pop((task.run.key, task.unit))
        lost = not lock.ours()
        work.locks.release(lock)
        if not outcome.error:
            work.made += 1
            work.journal.add("stored", unit=task.unit, items=task.run.model.unit, seconds=round(outcome.seconds, 4))
            self.bar.advance(task.run.model.unit)
        elif lost:  # we were stopped for so long that another process took over; it makes the unit
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
        about = {"attempts": attempts, "error": outcome.error, "traceback": outcome.trace, "environment": work.environment}
        work.store.set_aside(unit, {**about, "owner": str(work.locks.me)})
        self.bar.advance(work.run.model.unit, failed=True)


def _told(work: Work) -> str:
    """What a user is told of a run's failures: every unit, and each error once."""
    folder = work.store.shown()
    errors = Counter(work.failed.values())
    units = ", ".join(str(unit) for unit in sorted(work.failed))
    lines = [f"{work.run.key}: {len(work.failed)} of {len(work.run.units)} units could not be made: {units}"]
    lines += [f"  {error}" + (f" ({count} units)" if count > 1 else "") for error, count in errors.items()]
    if work.hopeless:
        lines.append("  none was made, so the rest was not tried")
    stored = "" if work.hopeless else "; the other units are stored"
    lines.append(f"  tracebacks: {folder}/failed{stored}")
    lines.append(f"  do: {_advice(work)}the same command tries them again")
    return "\n".join(lines)


def _advice(work: Work) -> str:
    """Return what helps against NaN and infinity: weaker guidance where it is the reason, a wider dtype where there is one."""
    dtype = work.run.model.dtype
    if "guided" in work.not_finite:
        return f"lower guidance.scale or guidance.omega{', or use model.dtype=fp32' if dtype != 'fp32' else ''}; "
    return "use model.dtype=bf16 or model.dtype=fp32; " if work.not_finite and dtype == "fp16" else ""

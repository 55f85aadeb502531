"""What every executor is: workers that are given tasks, and the loop that keeps them busy."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sized
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:  # it loads torch
    from s2g.engine.worker import Job, Outcome
    from s2g.store.locks import Locks

JOIN = 20.0  # seconds that a worker has to end
POLL = 0.5  # seconds between attempts to lock pieces of work that another process has
Piece = TypeVar("Piece")


class Executor(ABC):
    """Workers that outlive a run, so that a sweep loads its model once; a context manager that ends them."""

    device: str  # cpu or cuda

    @property
    @abstractmethod
    def workers(self) -> int:
        """The number of workers that there are to be."""

    @property
    def scorers(self) -> int:
        """The number of workers that tasks are for which score."""
        return self.workers

    @property
    @abstractmethod
    def alive(self) -> int:
        """The number of workers that are up."""

    @property
    @abstractmethod
    def machine(self) -> str:
        """Where the workers run, in words."""

    @property
    @abstractmethod
    def idle(self) -> int:
        """The number of tasks, of the sort that is expected, that can start now."""

    @abstractmethod
    def expect(self, tasks: int, scoring: bool = False) -> None:
        """State how many tasks will come, and whether they score; while units are sampled, a few that score may come too."""

    @abstractmethod
    def start(self, task: Job) -> None:
        """Give a task to an idle worker; one that scores, where others are for that, to the first of them that is idle."""

    @abstractmethod
    def wait(self, timeout: float | None) -> list[tuple[Any, Outcome]]:
        """Return the tasks finished since the last call with their outcomes; wait up to `timeout` seconds for the first.

        A worker that dies is replaced and its task is among them, as failed. May return none before the time is up.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Stop all tasks; stored units stay."""

    def reach(self, locks: Locks) -> None:
        """Check, before there is work in the folder of `locks`, that workers see it and are what they should be; UserError."""
        return

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def work_through(
        self,
        queue: deque[Piece],
        busy: deque[Piece],
        running: Sized,
        begin: Callable[[list[Piece]], None],
        end: Callable[[Any, Outcome], None],
        share: int = 1,
        scoring: bool = False,
    ) -> None:
        """Give pieces of work to idle workers until `queue`, `busy` and `running` are empty; stop all tasks on an error.

        begin: start up to `share` pieces as one task, or move those that another process has locked to `busy`, which is
        queued again every POLL seconds. end: settle a task by its outcome; it may queue pieces again. scoring: whether the
        tasks score.
        """
        self.expect(math.ceil(len(queue) / share), scoring)
        looked = time.monotonic()
        try:
            while queue or busy or running:
                if busy and time.monotonic() - looked > POLL:
                    queue.extend(busy)
                    busy.clear()
                    looked = time.monotonic()
                while queue and self.idle:
                    begin([queue.popleft() for _ in range(min(share, len(queue)))])
                if running or queue:  # or workers that are still to come
                    for task, outcome in self.wait(POLL if busy else None):
                        end(task, outcome)
                elif busy:
                    time.sleep(POLL / 2)
        finally:
            self.abandon()

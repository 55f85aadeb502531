"""Progress of long work: a bar in a terminal, which moves within a unit, and elsewhere a line every half minute."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY = 30.0  # seconds between lines
TICK = 1.0  # seconds between looks at what is in progress


class Bar:
    """Progress over `total` items; a context manager. Nothing is printed of work that takes less than EVERY seconds."""

    def __init__(
        self,
        drawn: Progress,
        total: int,
        word: str,
        inside: Callable[[], float] = lambda: 0.0,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        workers: Callable[[], int] = lambda: 0,
    ) -> None:
        """inside: items' worth of work that is done in unfinished units, from 0 on; out: for lines, default stderr.

        workers: how many are up; shown, with the rate of each, from 2 on.
        """
        self._drawn, self._total, self._word, self._inside, self._out, self._clock = drawn, total, word, inside, out, clock
        self._workers = workers
        self._done = self._failed = 0
        self._began = self._printed = clock()
        self._task = drawn.add_task(word, total=total, rate="")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._drawn.__enter__()
        self._began = self._printed = self._clock()
        if self._total:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._drawn.__exit__(kind, error, trace)

    def advance(self, items: int, failed: bool = False) -> None:
        """Advance by items that are done, or have failed."""
        self._done += items
        self._failed += items if failed else 0
        self.tick()

    def tick(self) -> None:
        """Show the progress of now: move the bar, or print a line if the last one is EVERY seconds old."""
        if not self._drawn.disable:
            speed = self._drawn.tasks[0].speed
            words = [f"{speed:.1f} items/s{self._each(speed)}"] if speed else []
            words += [f"{self._failed} failed"] if self._failed else []
            self._drawn.update(self._task, completed=self._reached(), rate=", ".join(words))
        elif self._total and self._clock() - self._printed >= EVERY:
            self._printed = self._clock()
            print(self.line(), file=self._out or sys.stderr, flush=True)

    def line(self) -> str:
        """Return "sampling: 129.5 of 540 items, 3.20 items/s, about 0:02:08 left"."""
        reached = self._reached()
        rate = reached / max(self._clock() - self._began, 1e-9)
        left = f", about {timedelta(seconds=round((self._total - reached) / rate))} left" if reached else ""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._word}: {reached:.1f} of {self._total} items, {rate:.2f} items/s{self._each(rate)}{left}{failed}"

    def _each(self, rate: float) -> str:
        up = self._workers()
        return f" ({up} workers, {rate / up:.2f} each)" if up > 1 else ""

    def _reached(self) -> float:
        return min(self._done + self._inside(), self._total)

    def _watch(self) -> None:
        while not self._stop.wait(TICK):
            self.tick()


def progress(
    console: Console,
    total: int,
    word: str = "sampling",
    inside: Callable[[], float] = lambda: 0.0,
    workers: Callable[[], int] = lambda: 0,
) -> Bar:
    """Return the progress over `total` items, drawn where the console is a terminal; a quiet console shows nothing."""
    columns = (
        TextColumn(word),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    drawn = Progress(*columns, console=console, disable=not (total and console.is_terminal), transient=True)
    return Bar(drawn, 0 if console.quiet else total, word, inside, workers=workers)

"""Spread the questions to a scorer over the workers; cached answers are not computed again.

Questions are grouped by item into parts, each scored under its lock, so a second process on the same run takes other
parts and no image is scored twice. An answer depends on its image and question only, so the number of workers changes
no byte of a result.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Console

from s2g.config.schema import ExecutorConfig
from s2g.engine.progress import progress
from s2g.errors import UnitsFailedError
from s2g.scoring.scorer import Question, Scorer, ScoringRequest
from s2g.store.locks import Lock, Locks

if TYPE_CHECKING:  # they load torch, which is not needed where every answer is cached
    from s2g.engine.executors.executor import Executor
    from s2g.engine.worker import Outcome

PART = 32  # items under one lock
ATTEMPTS = 3  # of a part whose worker dies


@dataclass(frozen=True)
class ScoringPool:
    """The workers that score, started for the first question without a cached answer, and the console for progress."""

    workers: Callable[[], Executor]
    console: Console

    def answer(self, request: ScoringRequest) -> list[Any]:
        """Return the answer to each question, in order, cached or computed now.

        UserError, IsolatedError and OSError as the scorer raises them; UnitsFailedError with the traceback for any other
        error. Answers that were computed stay cached.
        """
        known = request.scorer.known(request.folder)
        missing = {question.key: question for question in reversed(request.questions) if question.key not in known}
        if missing:
            open_ = sorted(missing.values(), key=lambda question: question.item)
            _Schedule(self.workers(), request, open_, self.console).go()
            known = request.scorer.known(request.folder)
        return [known[question.key] for question in request.questions]


def answer_here(request: ScoringRequest) -> list[Any]:
    """Return the answer to each question, in order, computed in this process; errors as of ScoringPool.answer."""
    from s2g.engine.executors.local import LocalExecutor

    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        return ScoringPool(lambda: executor, Console(quiet=True)).answer(request)


@dataclass(frozen=True)
class ScoringTask:
    """Questions that one worker answers."""

    scorer: Scorer
    questions: tuple[Question, ...]
    folder: Path

    scoring: ClassVar[bool] = True

    def do(self, device: str) -> float:
        """Answer the questions; return the seconds this took."""
        began = time.perf_counter()
        if device != "cpu":
            from s2g.engine.worker import free_networks

            free_networks()  # a scorer may need all of the GPU's memory
        self.scorer.answer(self.questions, self.folder, device)
        return time.perf_counter() - began


class _Schedule:
    """Parts of a request, the workers that score them and the locks they are scored under."""

    def __init__(self, executor: Executor, request: ScoringRequest, questions: Sequence[Question], console: Console) -> None:
        self.executor, self.request = executor, request
        self.parts: dict[int, list[Question]] = {}
        for question in questions:
            self.parts.setdefault(question.item // PART, []).append(question)
        self.queue, self.busy = deque(self.parts), deque[int]()
        self.running: dict[int, list[tuple[int, Lock]]] = {}  # by id of the task
        self.deaths: Counter[int] = Counter()
        self.bar = progress(console, len(questions), f"scoring, {request.name}", workers=lambda: executor.alive)
        request.folder.mkdir(parents=True, exist_ok=True)
        self.locks = Locks(request.folder)

    def go(self) -> None:
        """Work until every question is answered, here or by another process."""
        try:
            self.executor.reach(self.locks)
            share = math.ceil(len(self.parts) / self.executor.scorers) if self.request.scorer.slow_start else 1
            with self.bar:
                self.executor.work_through(self.queue, self.busy, self.running, self._begin, self._end, share, True)
        finally:
            self.locks.close()

    def _begin(self, numbers: Sequence[int]) -> None:
        held: list[tuple[int, Lock]] = []
        for number in numbers:
            lock = self.locks.acquire(f"{number:06d}")
            if lock is None:
                self.busy.append(number)
            else:
                held.append((number, lock))
        # Another process, or a worker that died, may have answered some in the meantime.
        known = self.request.scorer.known(self.request.folder) if held else {}
        for number, _ in held:
            left = [question for question in self.parts[number] if question.key not in known]
            self.bar.advance(len(self.parts[number]) - len(left))
            self.parts[number] = left
        questions = [question for number, _ in held for question in self.parts[number]]
        if not questions:
            for _, lock in held:
                self.locks.release(lock)
            return
        task = ScoringTask(self.request.scorer, tuple(questions), self.request.folder)
        self.running[id(task)] = held
        self.executor.start(task)

    def _end(self, task: ScoringTask, outcome: Outcome) -> None:
        held = self.running.pop(id(task))
        for _, lock in held:
            self.locks.release(lock)
        if not outcome.error:
            self.bar.advance(len(task.questions))
            return
        if outcome.fatal is not None:
            raise outcome.fatal
        numbers = [number for number, _ in held]
        self.deaths.update(numbers)
        if not outcome.trace and max(self.deaths[number] for number in numbers) < ATTEMPTS:  # the worker died without an error
            self.queue.extend(numbers)  # what it has answered is counted when they start again
            return
        raise UnitsFailedError(_failure_message(self.request, task, outcome))


def _failure_message(request: ScoringRequest, task: ScoringTask, outcome: Outcome) -> str:
    """Return the message about a failed task: which items, the error and its traceback."""
    first, last = task.questions[0], task.questions[-1]
    trace = "".join(f"\n  | {line}" for line in outcome.trace.rstrip().splitlines())
    return (
        f"scorer {request.name}: failed among items {first.item} to {last.item} ({first.path.name} …): {outcome.error}{trace}\n"
        "  do: run the same command to resume from the values stored so far; executor.workers=1 takes less memory"
    )

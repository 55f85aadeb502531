"""Questions to scorers, spread over the workers that sample: what is known is not asked, what becomes known is kept.

Images are taken in parts of fixed items, each under its lock, so that a second process at the same run takes the parts
this one has not, and no image is scored twice. An answer depends on its image and question alone, so how many workers
there are changes no byte of a result.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from s2g.config.schema import ExecutorConfig
from s2g.engine.progress import progress
from s2g.errors import UnitsFailedError
from s2g.scoring.scorer import Inquiry, Question, Scorer
from s2g.store.locks import Lock, Locks

if TYPE_CHECKING:  # it loads torch, and nobody is asked where everything is known
    from s2g.engine.executors.local import LocalExecutor
    from s2g.engine.worker import Outcome

PART = 32  # items under one lock
ATTEMPTS = 3  # of a part whose worker dies
POLL = 0.5  # seconds between looks at parts another process has


@dataclass(frozen=True)
class Crew:
    """Who scores: workers, started when the first question is open, and the console that shows how far they are."""

    workers: Callable[[], LocalExecutor]
    console: Console

    def asked(self, inquiry: Inquiry) -> list[Any]:
        """The answer to each question, in order; asked now, or known from before.

        UserError, IsolatedError and OSError as the scorer raises them; UnitsFailedError with the whole traceback for any
        other. What was answered stays.
        """
        known = inquiry.scorer.known(inquiry.folder)
        missing = {question.key: question for question in reversed(inquiry.questions) if question.key not in known}
        if missing:
            open_ = sorted(missing.values(), key=lambda question: question.item)
            _Spread(self.workers(), inquiry, open_, self.console).go()
            known = inquiry.scorer.known(inquiry.folder)
        return [known[question.key] for question in inquiry.questions]


def asked_here(inquiry: Inquiry) -> list[Any]:
    """The same in this process alone."""
    from s2g.engine.executors.local import LocalExecutor

    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        return Crew(lambda: executor, Console(quiet=True)).asked(inquiry)


@dataclass(frozen=True)
class Part:
    """Some questions of an inquiry, as a worker gets them."""

    scorer: Scorer
    questions: tuple[Question, ...]
    folder: Path

    def do(self, device: str) -> float:
        """Answer them; the seconds it took."""
        began = time.perf_counter()
        if device != "cpu":
            from s2g.engine.worker import forget

            forget()  # the sampled network: a scorer may need all there is of a GPU
        self.scorer.answer(self.questions, self.folder, device)
        return time.perf_counter() - began


class _Spread:
    """Parts to workers, until nothing is open."""

    def __init__(self, executor: LocalExecutor, inquiry: Inquiry, questions: Sequence[Question], console: Console) -> None:
        self.executor, self.inquiry = executor, inquiry
        self.parts: dict[int, list[Question]] = {}
        for question in questions:
            self.parts.setdefault(question.item // PART, []).append(question)
        self.queue, self.busy = deque(self.parts), deque[int]()
        self.running: dict[int, list[tuple[int, Lock]]] = {}  # by id of the part
        self.deaths: Counter[int] = Counter()
        self.bar = progress(console, len(questions), f"scoring, {inquiry.name}")
        inquiry.folder.mkdir(parents=True, exist_ok=True)
        self.locks = Locks(inquiry.folder)

    def go(self) -> None:
        """Work until every question is answered, here or by another process."""
        # What starts anew each time gets an equal share; what stays loaded gets a part at a time.
        share = math.ceil(len(self.parts) / self.executor.workers) if self.inquiry.scorer.costly else 1
        self.executor.expect(math.ceil(len(self.parts) / share))
        looked = time.monotonic()
        try:
            with self.bar:
                while self.queue or self.busy or self.running:
                    if self.busy and time.monotonic() - looked > POLL:
                        self.queue.extend(self.busy)
                        self.busy.clear()
                        looked = time.monotonic()
                    while self.queue and self.executor.idle:
                        self._begin([self.queue.popleft() for _ in range(min(share, len(self.queue)))])
                    if self.running:
                        for part, outcome in self.executor.wait(POLL if self.busy else None):
                            self._end(part, outcome)
                    elif self.busy:
                        time.sleep(POLL / 2)
        finally:
            self.executor.abandon()
            self.locks.close()

    def _begin(self, numbers: Sequence[int]) -> None:
        held: list[tuple[int, Lock]] = []
        for number in numbers:
            lock = self.locks.acquire(f"{number:06d}")
            if lock is None:
                self.busy.append(number)
            else:
                held.append((number, lock))
        # Another process, or a worker that died, may have answered some since we looked.
        known = self.inquiry.scorer.known(self.inquiry.folder) if held else {}
        for number, _ in held:
            left = [question for question in self.parts[number] if question.key not in known]
            self.bar.advance(len(self.parts[number]) - len(left))
            self.parts[number] = left
        questions = [question for number, _ in held for question in self.parts[number]]
        if not questions:
            for _, lock in held:
                self.locks.release(lock)
            return
        part = Part(self.inquiry.scorer, tuple(questions), self.inquiry.folder)
        self.running[id(part)] = held
        self.executor.start(part)

    def _end(self, part: Part, outcome: Outcome) -> None:
        held = self.running.pop(id(part))
        for _, lock in held:
            self.locks.release(lock)
        if not outcome.error:
            self.bar.advance(len(part.questions))
            return
        if outcome.fatal is not None:
            raise outcome.fatal
        numbers = [number for number, _ in held]
        self.deaths.update(numbers)
        if not outcome.trace and max(self.deaths[number] for number in numbers) < ATTEMPTS:  # it died; it did not say why
            self.queue.extend(numbers)  # what it had answered is counted when they begin again
            return
        raise UnitsFailedError(_told(self.inquiry, part, outcome))


def _told(inquiry: Inquiry, part: Part, outcome: Outcome) -> str:
    """What a user is told of a part that failed: where, and all that was said."""
    first, last = part.questions[0], part.questions[-1]
    said = "".join(f"\n  | {line}" for line in outcome.trace.rstrip().splitlines())
    return (
        f"scorer {inquiry.name}: failed among items {first.item} to {last.item} ({first.path.name} …): {outcome.error}{said}\n"
        "  do: the same command goes on from the values that are there; executor.workers=1 takes less memory"
    )

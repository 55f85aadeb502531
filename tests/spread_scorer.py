"""Scorers that note what they are asked, for workers; and a command that asks them."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from s2g.config.schema import ExecutorConfig
from s2g.engine.executors.local import LocalExecutor
from s2g.errors import IsolatedError, UserError
from s2g.scoring import scoring_pool
from s2g.scoring.scorer import InProcessScorer, Question, ScoringRequest
from s2g.scoring.scoring_pool import ScoringPool

ERRORS = {
    "user": UserError("a mistake", todo="mend it"),
    "isolated": IsolatedError("scorer x: all its log"),
    "bug": ZeroDivisionError(),
}


@dataclass(frozen=True)
class Noting(InProcessScorer):
    """A value in 1/7 of the item; a line "KEY PID" in notes.txt for each."""

    notes: Path
    seconds: float = 0.0
    fails_at: int = -1
    how: str = "bug"

    def value(self, question: Question, device: str) -> float:
        with (self.notes / "notes.txt").open("a") as stream:
            stream.write(f"{question.key} {os.getpid()}\n")
        if question.item == self.fails_at:
            raise ERRORS[self.how]
        time.sleep(self.seconds)
        return question.item / 7


def request(folder: Path, count: int, seconds: float = 0.0, fails_at: int = -1, how: str = "bug") -> ScoringRequest:
    questions = tuple(Question(i, f"key-{i % (count - 1)}", Path(f"{i}.png"), f"prompt {i}") for i in range(count))  # one twice
    return ScoringRequest("noting", Noting(folder, seconds, fails_at, how), folder / "answers", questions)


def asked(of: ScoringRequest, workers: int) -> list[float]:
    with LocalExecutor(ExecutorConfig(workers=workers, device="cpu")) as executor:
        return ScoringPool(lambda: executor, Console(quiet=True)).answer(of)


def noted(folder: Path) -> list[tuple[str, int]]:
    """(key, process) of every question that was put."""
    path = folder / "notes.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background is deaf to it
    scoring_pool.PART = 2
    place, total, pause, workers = sys.argv[1:]
    print(asked(request(Path(place), int(total), float(pause)), int(workers)))

"""Scorers: questions about images, and what answers them.

A scorer is sent to worker processes, so it is plain data; what it needs is loaded with the first question.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from s2g.scoring import score_cache
from s2g.scoring.isolated.child import known_values, values_of
from s2g.scoring.isolated.environment import Isolated


@dataclass(frozen=True)
class Question:
    """One image and what is asked about it."""

    item: int
    key: str  # names the image's content and the question: the answers are cached under it
    path: Path
    words: Any = None  # a prompt, or other plain data for the scorer


class Scorer(Protocol):
    """Answers questions."""

    slow_start: ClassVar[bool]  # whether each call starts a process: each worker then gets all of its share at once

    def known(self, folder: Path) -> Mapping[str, Any]:
        """Return the cached answers by key."""
        ...

    def answer(self, questions: Sequence[Question], folder: Path, device: str) -> None:
        """Answer each question on the worker's device; cache each answer below `folder` as soon as it is known."""
        ...


@dataclass(frozen=True)
class ScoringRequest:
    """Questions to one scorer."""

    name: str  # of the scorer, for messages
    scorer: Scorer
    folder: Path  # of the cached answers; its name holds all that they depend on besides image and question
    questions: tuple[Question, ...]


Answer = Callable[[ScoringRequest], list[Any]]  # returns the answer to each question, in order


class InProcessScorer(ABC):
    """A scorer whose network stays loaded in the worker; one image at a time, so that no value depends on a batch."""

    slow_start: ClassVar[bool] = False

    @abstractmethod
    def value(self, question: Question, device: str) -> Any:
        """Return the answer to one question as plain data."""

    def known(self, folder: Path) -> Mapping[str, Any]:
        return score_cache.known(folder)

    def answer(self, questions: Sequence[Question], folder: Path, device: str) -> None:
        with score_cache.writing(folder) as write:
            for question in questions:
                write(question.key, self.value(question, device))


@dataclass(frozen=True)
class IsolatedScorer:
    """A scorer in an isolated environment: a child process per worker, which sees that worker's GPU only."""

    isolated: Isolated
    settings: Mapping[str, Any]
    device: str = "auto"  # as configured
    depends: Mapping[str, Any] | None = None  # the settings that values depend on, without paths and device; None: all

    slow_start: ClassVar[bool] = True

    def known(self, folder: Path) -> Mapping[str, Any]:
        return known_values(self.isolated, self.settings if self.depends is None else self.depends, folder)

    def answer(self, questions: Sequence[Question], folder: Path, device: str) -> None:
        """Answer each question; IsolatedError with the child's log if it fails."""
        items = [
            {"key": question.key, "path": str(question.path.absolute())}
            | ({} if question.words is None else {"prompt": question.words})
            for question in questions
        ]
        gpus = visible_devices(device, self.device)
        values_of(self.isolated, items, folder, self.settings, depends=self.depends, beside=True, gpus=gpus)


def scorer_device(configured: str, device: str) -> str:
    """Return where a scorer runs: as configured; "auto", and "cuda" without a number, follow the worker's device."""
    return device if configured == "auto" or (configured == "cuda" and device.startswith("cuda")) else configured


def visible_devices(device: str, configured: str = "auto") -> str | None:
    """Return CUDA_VISIBLE_DEVICES for the child of a worker on `device`; None leaves the variable as it is."""
    if not device.startswith("cuda"):
        return "" if configured == "auto" else None
    number = int(device.partition(":")[2] or 0)
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return str(number) if listed is None else listed.split(",")[number]

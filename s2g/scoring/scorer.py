"""What is asked of a scorer about images: by image a key that names content and question, and what answers them.

A scorer travels to worker processes, so it is plain data until it is asked.
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
    """One image and what is asked of it."""

    item: int
    key: str  # an image that has changed, or another question, has another one
    path: Path
    words: Any = None  # a prompt, or what else the scorer is given; plain data


class Scorer(Protocol):
    """Answers questions."""

    costly: ClassVar[bool]  # whether it starts anew each time it is asked: it is then given an equal share at once

    def known(self, folder: Path) -> Mapping[str, Any]:
        """By key what was answered before."""
        ...

    def answer(self, questions: Sequence[Question], folder: Path, device: str) -> None:
        """Answer each, on the worker's device, and keep it below `folder` as it becomes known."""
        ...


@dataclass(frozen=True)
class Inquiry:
    """Questions to one scorer, an image each."""

    name: str  # of the scorer, as a user knows it
    scorer: Scorer
    folder: Path  # where its answers are kept: named after all that they depend on, but for image and question
    questions: tuple[Question, ...]


Asked = Callable[[Inquiry], list[Any]]  # the answer to each question of an inquiry, in order


class OneByOne(ABC):
    """A scorer in the worker's own process, whose network stays loaded: an image at a time, so that no neighbour matters."""

    costly: ClassVar[bool] = False

    @abstractmethod
    def value(self, question: Question, device: str) -> Any:
        """The answer to one question; plain data."""

    def known(self, folder: Path) -> Mapping[str, Any]:
        """By key what was answered before."""
        return score_cache.known(folder)

    def answer(self, questions: Sequence[Question], folder: Path, device: str) -> None:
        """Answer each, and keep it as it becomes known."""
        with score_cache.writing(folder) as keep:
            for question in questions:
                keep(question.key, self.value(question, device))


@dataclass(frozen=True)
class InChild:
    """A scorer in an environment of its own: a child process for each worker, which sees the worker's GPU alone."""

    isolated: Isolated
    settings: Mapping[str, Any]
    device: str = "auto"  # as typed
    depends: Mapping[str, Any] | None = None  # what of the settings a value depends on: no path, no device; None: all of them

    costly: ClassVar[bool] = True

    def known(self, folder: Path) -> Mapping[str, Any]:
        """By key what was answered before, by this scorer where its values depend on the same."""
        return known_values(self.isolated, self.settings if self.depends is None else self.depends, folder)

    def answer(self, questions: Sequence[Question], folder: Path, device: str) -> None:
        """Answer each; IsolatedError with the child's log if it fails."""
        items = [
            {"key": question.key, "path": str(question.path.absolute())}
            | ({} if question.words is None else {"prompt": question.words})
            for question in questions
        ]
        gpus = visible(device, self.device)
        values_of(self.isolated, items, folder, self.settings, depends=self.depends, beside=True, gpus=gpus)


def chosen(typed: str, device: str) -> str:
    """Where a scorer runs: what was typed; "auto", and "cuda" without a number, are the worker's own device if it can be."""
    return device if typed == "auto" or (typed == "cuda" and device.startswith("cuda")) else typed


def visible(device: str, typed: str = "auto") -> str | None:
    """CUDA_VISIBLE_DEVICES of a child of a worker on `device`; None to leave it as it is."""
    if not device.startswith("cuda"):
        return "" if typed == "auto" else None
    number = int(device.partition(":")[2] or 0)
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return str(number) if listed is None else listed.split(",")[number]

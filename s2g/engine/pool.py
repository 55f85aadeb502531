"""Lazy pool of workers: started when the first unit or score is missing."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from s2g.config.registry import EXECUTORS
from s2g.config.schema import ExecutorConfig
from s2g.io.interrupt import uninterrupted

if TYPE_CHECKING:  # it loads torch
    from s2g.engine.executors.executor import Executor


class Pool:
    """Workers shared by all runs of a command; a context manager that stops them at its end."""

    def __init__(self, workers: int | None = None, config: ExecutorConfig | None = None) -> None:
        self.config = config or ExecutorConfig(workers=workers)
        self._stack = ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._executor = None

    @property
    def executor(self) -> Executor:
        """The workers, started on first use, which imports torch; a command that finds everything stored never does."""
        if self._executor is None:
            with uninterrupted():
                kind = EXECUTORS.load(self.config.name)
            self._executor = self._stack.enter_context(kind(self.config))
        return self._executor

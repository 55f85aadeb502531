"""Workers that are started when the first of them is needed: what is stored or known already asks for none."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from s2g.config.schema import ExecutorConfig
from s2g.io.interrupt import uninterrupted

if TYPE_CHECKING:  # it loads torch
    from s2g.engine.executors.local import LocalExecutor


class Pool:
    """Worker processes, started when the first unit is missing and shared by everything made after it; a context manager."""

    def __init__(self, workers: int | None) -> None:
        self.workers = workers
        self._stack = ExitStack()
        self._executor: LocalExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._executor = None

    @property
    def executor(self) -> LocalExecutor:
        """The workers; torch is loaded here, and not for what is stored already."""
        if self._executor is None:
            with uninterrupted():
                from s2g.engine.executors.local import LocalExecutor
            self._executor = self._stack.enter_context(LocalExecutor(ExecutorConfig(workers=self.workers)))
        return self._executor

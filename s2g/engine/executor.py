"""executor=local: units to processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from types import TracebackType
from typing import Self

import torch

from s2g.config import ExecutorConfig
from s2g.engine.worker import Task, do, prepare
from s2g.errors import UserError


def device_of(config: ExecutorConfig) -> str:
    """The device a run is made on; UserError if it is not here."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise UserError("executor.device = cuda: torch sees no CUDA GPU on this machine", allowed="auto, cpu")
    return "cuda" if available and config.device != "cpu" else "cpu"


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    prepare()


class LocalExecutor:
    """A pool of processes that stays up between runs, so that a sweep loads its model once; a context manager."""

    def __init__(self, config: ExecutorConfig) -> None:
        self.device = device_of(config)
        self.workers = config.workers or (len(os.sched_getaffinity(0)) if self.device == "cpu" else 1)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=error is None, cancel_futures=True)
            if error is not None:
                for process in multiprocessing.active_children():
                    process.terminate()
            self._pool = None

    def each(self, tasks: Sequence[Task]) -> Iterator[Task]:
        """Do the tasks; yields each when its unit is stored. The first error ends it, what is stored stays."""
        if self.workers == 1 or len(tasks) < 2:
            prepare()
            for task in tasks:
                do(task)
                yield task
            return
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # fork would copy torch's threads in an unknown state
            self._pool = ProcessPoolExecutor(self.workers, context, initializer=_begin_worker)
        futures = {self._pool.submit(do, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenExecutor:
            self._pool = None  # the next run of a sweep gets a new one
            raise
        finally:
            for future in futures:
                future.cancel()

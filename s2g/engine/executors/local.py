"""executor=local: worker processes on this machine, one per device, that sample units or score images."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

import torch

from s2g.config.schema import ExecutorConfig
from s2g.engine.environment import machine
from s2g.engine.executors.executor import JOIN, Executor
from s2g.engine.worker import Job, Outcome, attempt, prepare, serve
from s2g.errors import UserError
from s2g.io.machine import cores


def device_of(config: ExecutorConfig) -> str:
    """Return the kind of device that workers use; UserError if this machine has none."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if config.device == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there[config.device]:
        what = {"cuda": "CUDA GPU", "mps": "Apple GPU"}[config.device]
        allowed = ", ".join(["auto", *(name for name, here in there.items() if here)])
        raise UserError(f"executor.device = {config.device}: torch sees no {what} on this machine", allowed=allowed)
    return config.device


@dataclass
class _Worker:
    """A process, its connection and its current task."""

    process: SpawnProcess
    connection: Connection
    task: Job | None = None


class LocalExecutor(Executor):
    """Processes on this machine.

    A process that dies is replaced and its task reported as failed. With `executor.workers=1` tasks run in this process,
    where a debugger can stop and classes registered by hand are known.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        self.device = device_of(config)
        devices = {"cpu": cores(), "mps": 1, "cuda": torch.cuda.device_count()}
        self._workers = config.workers or devices[self.device]
        self._configured = config.workers
        self._here = config.workers == 1
        self._waiting: list[Job] = []  # tasks of this process, not yet started
        self._pool: list[_Worker | None] = [None] * self._workers

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def alive(self) -> int:
        return 1 if self._here else sum(worker is not None for worker in self._pool)

    @property
    def machine(self) -> str:
        return machine()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.abandon()
        for worker in self._pool:
            if worker is not None:
                worker.connection.close()
                worker.process.join(JOIN)
                worker.process.kill()
        self._pool = [None] * self._workers

    def expect(self, tasks: int, scoring: bool = False) -> None:
        # A single task on the CPU runs in this process, where nothing has to start.
        if self._configured != 1 and not any(self._pool):
            self._here = tasks < 2 and self.device == "cpu"

    @property
    def idle(self) -> int:
        if self._here:
            return 1 - len(self._waiting)
        return sum(worker is None or worker.task is None for worker in self._pool)

    def start(self, task: Job) -> None:
        if self._here:
            self._waiting.append(task)
            return
        place = next(i for i, worker in sorted(enumerate(self._pool), key=_fresh) if worker is None or worker.task is None)
        worker = self._pool[place] or self._hire(place)
        worker.task = task
        with contextlib.suppress(BrokenPipeError):  # it has died: `wait` notices
            worker.connection.send(task)

    def wait(self, timeout: float | None) -> list[tuple[Any, Outcome]]:
        if self._here:
            prepare(self._device(0))
            done = [(task, attempt(task, self._device(0))) for task in self._waiting]
            self._waiting = []
            return done
        busy = {place: worker for place, worker in enumerate(self._pool) if worker is not None and worker.task is not None}
        wait([end for worker in busy.values() for end in (worker.connection, worker.process.sentinel)], timeout)
        done = []
        for place, worker in busy.items():
            outcome = self._outcome(worker)
            if outcome is None:
                continue
            assert worker.task is not None
            done.append((worker.task, outcome))
            worker.task = None
            # A CUDA error breaks its process for good; a new process has to load the model again.
            if outcome.error and outcome.again and (self.device == "cuda" or not worker.process.is_alive()):
                self._dismiss(worker)
                self._pool[place] = None
        return done

    def abandon(self) -> None:
        self._waiting = []
        for place, worker in enumerate(self._pool):
            if worker is not None and worker.task is not None:
                self._dismiss(worker)
                self._pool[place] = None

    def _device(self, place: int) -> str:
        return f"cuda:{place % torch.cuda.device_count()}" if self.device == "cuda" else self.device

    def _hire(self, place: int) -> _Worker:
        context = multiprocessing.get_context("spawn")  # fork would copy torch's threads in an undefined state
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._device(place)), daemon=True, name=f"worker {place}")
        # Ctrl-C reaches the whole process group; block it until `serve` ignores it, which is after torch is loaded.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        worker = self._pool[place] = _Worker(process, ours)
        return worker

    def _outcome(self, worker: _Worker) -> Outcome | None:
        try:
            if worker.connection.poll():
                return worker.connection.recv()
        except (EOFError, ConnectionError):  # it is dying
            worker.process.join(JOIN)
        if worker.process.is_alive():
            return None
        code = worker.process.exitcode or 0
        names = {number.value: number.name for number in signal.Signals}
        how = f"killed by {names.get(-code, f'signal {-code}')}" if code < 0 else f"exit code {code}"
        return Outcome(error=f"its process died ({how}{', out of memory?' if code == -signal.SIGKILL else ''})")

    @staticmethod
    def _dismiss(worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.connection.close()


def _fresh(numbered: tuple[int, _Worker | None]) -> bool:
    return numbered[1] is None  # workers that are up come first

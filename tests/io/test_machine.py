"""What a machine has, also where Linux's /proc and affinities are missing, as on macOS."""

from __future__ import annotations

import builtins
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from s2g.config.schema import ExecutorConfig
from s2g.engine.executors.local import LocalExecutor, device_of
from s2g.engine.memory import begin_peak, peak
from s2g.errors import UserError
from s2g.io.machine import cores, processor
from s2g.store.locks import Owner


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sched_getaffinity, no /proc, and sysctl's answer."""
    real_open, real_read, real_run = builtins.open, Path.read_text, subprocess.run

    def open_(file: Any, *more: Any, **named: Any) -> Any:
        if str(file).startswith("/proc/"):
            raise FileNotFoundError(file)
        return real_open(file, *more, **named)

    def read(path: Path, *more: Any, **named: Any) -> str:
        if str(path).startswith("/proc/"):
            raise FileNotFoundError(path)
        return real_read(path, *more, **named)

    def write(path: Path, *more: Any, **named: Any) -> int:
        raise FileNotFoundError(path)

    def run(command: Any, *more: Any, **named: Any) -> Any:
        if command[0] == "sysctl":
            return subprocess.CompletedProcess(command, 0, "Apple M4\n", "")
        return real_run(command, *more, **named)

    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(builtins, "open", open_)
    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(Path, "write_text", write)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "platform", "darwin")


def test_cores_are_those_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.usefixtures("mac")
def test_a_mac_has_cores_a_processor_and_a_peak() -> None:
    assert cores() == os.cpu_count() and processor() == "Apple M4"
    begin_peak("cpu")
    assert peak("cpu") == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes there, kilobytes on Linux
    assert LocalExecutor(ExecutorConfig(device="cpu")).workers == os.cpu_count()


@pytest.mark.usefixtures("mac")
def test_a_process_of_a_mac_knows_whether_its_neighbour_runs() -> None:
    me = Owner.me()
    assert me.started == "" and me.alive(me) is not False
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert Owner(me.host, me.machine, gone.pid, "").alive(me) is False


def test_an_apple_gpu_is_used_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"mps: torch sees no Apple GPU.*\n.*auto, cpu"):
        device_of(ExecutorConfig(device="mps"))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_of(ExecutorConfig(device="mps")) == "mps"
    assert device_of(ExecutorConfig(device="auto")) == "cpu"  # results are held against the CPU's and CUDA's only
    executor = LocalExecutor(ExecutorConfig(device="mps"))
    assert executor.workers == 1 and executor._device(0) == "mps"

"""Scoring spread over workers: the same values, resumed after a kill, shared by processes, errors told whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import spread_scorer
from spread_scorer import asked, noted, request

from s2g.errors import IsolatedError, UnitsFailedError, UserError
from s2g.scoring import score_cache, scoring_pool
from s2g.scoring.scorer import scorer_device, visible_devices


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_pool, "PART", 2)


def started(folder: Path, count: int, seconds: float, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, spread_scorer.__file__, str(folder), str(count), str(seconds), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def until(seconds: float, what) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.slow("many processes")
def test_three_workers_say_what_one_says_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    (one := tmp_path / "one").mkdir()
    (three := tmp_path / "three").mkdir()
    expected = [i / 7 for i in range(12)] + [0.0]
    assert asked(request(one, 13), 1) == asked(request(three, 13, 0.05), 3) == expected
    assert sorted(noted(one)) == [(key, os.getpid()) for key in sorted({f"key-{i}" for i in range(12)})]
    assert sorted(key for key, _ in noted(three)) == sorted({f"key-{i}" for i in range(12)})
    assert len({pid for _, pid in noted(three)}) > 1 and os.getpid() not in {pid for _, pid in noted(three)}
    assert asked(request(three, 13), 1) == expected and len(noted(three)) == 12  # all is known
    assert asked(request(three, 16), 1)[:12] == expected[:12] and len(noted(three)) == 15  # only what is new
    assert not list((three / "answers").glob("locks/*"))


@pytest.mark.slow("many processes")
def test_a_worker_that_is_killed_loses_what_it_had_in_hand(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill() -> None:
        until(60, lambda: len(noted(tmp_path)) >= 3)
        killed.append(noted(tmp_path)[0][1])
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    assert asked(request(tmp_path, 13, 0.2), 2) == [i / 7 for i in range(12)] + [0.0]
    thread.join()
    keys = [key for key, _ in noted(tmp_path)]
    assert set(keys) == {f"key-{i}" for i in range(12)} and len(keys) <= 13  # at most the one that was asked is asked again


def test_a_line_that_was_not_finished_is_asked_again_and_spoils_no_other(tmp_path: Path) -> None:
    values = asked(request(tmp_path, 9), 1)
    (file,) = (tmp_path / "answers").glob(f"part-*/{score_cache.FILE}")
    file.write_bytes(file.read_bytes()[:-7])
    assert len(score_cache.known(tmp_path / "answers")) == 7
    assert asked(request(tmp_path, 9), 1) == values and len(noted(tmp_path)) == 9
    assert len(file.read_text().splitlines()) == 8


@pytest.mark.slow("many processes")
def test_two_processes_share_the_work_and_write_nothing_twice(tmp_path: Path) -> None:
    processes = [started(tmp_path, 25, 0.1, 1) for _ in range(2)]
    said = {process.communicate(timeout=120)[0] for process in processes}
    assert said == {f"{[i / 7 for i in range(24)] + [0.0]}\n"}
    keys = [key for key, _ in noted(tmp_path)]
    assert sorted(keys) == sorted(f"key-{i}" for i in range(24)) and len({pid for _, pid in noted(tmp_path)}) == 2
    files = list((tmp_path / "answers").glob(f"part-*/{score_cache.FILE}"))  # one of each process
    assert len(files) == 2 and sum(len(file.read_text().splitlines()) for file in files) == 24


@pytest.mark.slow("many processes")
def test_ctrl_c_ends_the_workers_and_keeps_what_is_known(tmp_path: Path) -> None:
    process = started(tmp_path, 41, 0.2, 2)
    until(60, lambda: len(noted(tmp_path)) >= 4)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in said
    until(10, lambda: not any(alive(pid) for _, pid in noted(tmp_path)))
    kept = score_cache.known(tmp_path / "answers")
    assert len(noted(tmp_path)) - 2 <= len(kept) < 40 and not list((tmp_path / "answers").glob("locks/*"))
    assert len(asked(request(tmp_path, 41), 1)) == 41
    assert len(noted(tmp_path)) <= 42  # what two workers had in hand


@pytest.mark.slow("many processes")
@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_told_whole(tmp_path: Path, workers: int) -> None:
    with pytest.raises(UnitsFailedError) as failed:
        asked(request(tmp_path, 9, fails_at=5), workers)
    said = str(failed.value)
    assert said.startswith("scorer noting: failed among items 4 to 5 (4.png …): ZeroDivisionError")
    assert "Traceback" in said and "spread_scorer.py" in said and "do: run the same command to resume" in said
    with pytest.raises(UserError, match=r"^a mistake\n  do: mend it$"):
        asked(request(tmp_path, 9, fails_at=5, how="user"), workers)
    with pytest.raises(IsolatedError, match=r"^scorer x: all its log$"):
        asked(request(tmp_path, 9, fails_at=5, how="isolated"), workers)
    assert "key-4" in score_cache.known(tmp_path / "answers")
    assert asked(request(tmp_path, 9), workers) == [i / 7 for i in range(8)] + [0.0]


@pytest.mark.slow("many processes")
def test_a_worker_that_always_dies_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()

    def kill() -> None:
        done: set[int] = set()
        while not stop.is_set():
            for _, pid in noted(tmp_path):
                if pid not in done:
                    done.add(pid)
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    monkeypatch.setattr(scoring_pool, "PART", 100)
    try:
        with pytest.raises(UnitsFailedError, match="its process died \\(killed by SIGKILL, out of memory\\?\\)"):
            asked_by_two(tmp_path)
    finally:
        stop.set()
        thread.join()
    assert len({pid for _, pid in noted(tmp_path)}) == scoring_pool.ATTEMPTS


def asked_by_two(folder: Path) -> None:
    """The one part by a worker process: for a single one none would be started."""
    from rich.console import Console

    from s2g.config.schema import ExecutorConfig
    from s2g.engine.executors.local import LocalExecutor

    with LocalExecutor(ExecutorConfig(workers=2, device="cpu")) as executor:
        executor.expect = lambda tasks, scoring: None  # type: ignore[method-assign]
        scoring_pool.ScoringPool(lambda: executor, Console(quiet=True)).answer(request(folder, 9, 5.0))


def test_every_worker_has_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [scorer_device(of, "cuda:1") for of in ("auto", "cuda", "cpu", "cuda:0")] == ["cuda:1", "cuda:1", "cpu", "cuda:0"]
    assert [scorer_device(typed, "cpu") for typed in ("auto", "cuda")] == ["cpu", "cuda"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert (visible_devices("cuda:3"), visible_devices("cpu"), visible_devices("cpu", "cuda")) == ("3", "", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert visible_devices("cuda:1") == "6"

"""Locks: one owner, a heartbeat, and take-over from the dead, whatever the clocks say."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from s2g.store import locks
from s2g.store.locks import Locks, Owner

DEAD = replace(Owner.me(), pid=2**22 + 1, started="1")
ELSEWHERE = replace(Owner.me(), host="elsewhere", boot="another")


class Clock:
    """A monotonic clock to be moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def write_lock(folder: Path, name: str, owner: Owner, token: str = "abcd0123") -> Path:
    (folder / "locks").mkdir(exist_ok=True)
    path = folder / "locks" / name
    path.write_text(json.dumps({"owner": asdict(owner), "token": token}))
    return path


def test_one_owner_at_a_time_and_nothing_left(tmp_path: Path) -> None:
    ours, theirs = Locks(tmp_path), Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None and lock.ours() and lock.scratch.is_dir()
    assert theirs.acquire("000000") is None and theirs.acquire("000001") is not None
    assert [name for name, owner in ours.working()] == ["000000", "000001"]
    ours.release(lock)
    again = theirs.acquire("000000")
    assert again is not None and not again.taken_from and not lock.ours()
    for held in (ours, theirs):
        held.close()
    assert [path.name for path in tmp_path.iterdir()] == [locks.GUARDED]


def test_a_dead_owners_lock_is_taken_over_at_once_with_what_it_was_writing(tmp_path: Path) -> None:
    write_lock(tmp_path, "000000", DEAD)
    (tmp_path / "tmp" / "000000.abcd0123").mkdir(parents=True)
    (tmp_path / "tmp" / "000000.abcd0123" / "000003.png").write_bytes(b"half")
    ours = Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None and str(DEAD.pid) in lock.taken_from
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [lock.scratch.name]
    ours.close()


def test_a_number_used_again_by_another_process_is_not_its_owner(tmp_path: Path) -> None:
    write_lock(tmp_path, "000000", replace(Owner.me(), pid=os.getppid()))  # lives, but began at another time
    assert Locks(tmp_path).acquire("000000") is not None


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = locks._started(child.pid)
    assert started is not None
    write_lock(tmp_path, "000000", replace(Owner.me(), pid=child.pid, started=started))
    ours = Locks(tmp_path)
    assert ours.acquire("000000") is None
    child.kill()
    until = time.monotonic() + 10
    while locks._started(child.pid) is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert ours.acquire("000000") is not None  # not waited for yet
    child.wait()


@pytest.mark.parametrize("owner", [ELSEWHERE, Owner.me()])
def test_an_owner_that_cannot_be_asked_or_hangs_is_given_its_time_whatever_its_clock_says(tmp_path: Path, owner: Owner) -> None:
    path, clock = write_lock(tmp_path, "000000", owner), Clock()
    ours = Locks(tmp_path, clock=clock)
    for stamp in (0, 4e9, time.time() - 1e6, time.time() + 1e6):  # 1970, 2096, and clocks that jump by days
        os.utime(path, (stamp, stamp))
        assert ours.acquire("000000") is None
        clock.now += locks.PATIENCE - 1  # it changed: somebody is alive
    assert ours.acquire("000000") is None
    clock.now += 2
    lock = ours.acquire("000000")
    assert lock is not None and lock.taken_from
    ours.close()


def test_the_heartbeat_keeps_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.02)
    ours = Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None
    os.utime(lock.path, (0, 0))
    until = time.monotonic() + 10
    while lock.path.stat().st_mtime == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert lock.path.stat().st_mtime > 0
    ours.close()


def test_who_was_taken_for_dead_does_not_take_the_lock_back(tmp_path: Path) -> None:
    clock = Clock()
    hung, other = Locks(tmp_path), Locks(tmp_path, clock=clock)
    lock = hung.acquire("000000")
    assert lock is not None and other.acquire("000000") is None
    clock.now += locks.PATIENCE + 1
    theirs = other.acquire("000000")
    assert theirs is not None and not lock.ours() and not lock.scratch.exists()
    hung.release(lock)
    assert theirs.ours() and theirs.scratch.is_dir()
    other.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"owner": {}, "token": 3}', b"\xff\xfe"])
def test_a_lock_nobody_finished_writing_is_no_lock(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "000000").write_bytes(content)
    assert Locks(tmp_path).acquire("000000") is not None


def test_sweep_clears_away_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    write_lock(tmp_path, "000000", DEAD)
    write_lock(tmp_path, "000001", ELSEWHERE, "00ff")
    for name in ("000000.abcd0123", "000001.00ff", "score.77.aaaa"):
        (tmp_path / "tmp" / name).mkdir(parents=True)
    (tmp_path / "tmp" / ".run.json.7.tmp").write_bytes(b"half")
    ours = Locks(tmp_path)
    want = ["locks/000000", "tmp/.run.json.7.tmp", "tmp/000000.abcd0123", "tmp/score.77.aaaa"]
    assert ours.abandoned() == want and ours.sweep() == want
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["000001.00ff"]


def test_without_kernel_locks_nothing_that_may_be_in_use_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(38, "not here")

    monkeypatch.setattr("s2g.io.file_lock.fcntl.flock", unsupported)
    (tmp_path / "tmp" / "score.77.aaaa").mkdir(parents=True)
    assert Locks(tmp_path).abandoned() == [] and Locks(tmp_path).sweep() == []
    assert (tmp_path / "tmp" / "score.77.aaaa").exists()


def test_a_process_that_was_taken_over_no_longer_keeps_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.01)
    ours = Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None
    write_lock(tmp_path, "000000", ELSEWHERE)  # another one's by now
    os.utime(lock.path, (0, 0))
    time.sleep(0.2)
    assert lock.path.stat().st_mtime == 0
    ours.close()
    assert lock.path.exists()


def contend(folder: str, count: int, answer: multiprocessing.Queue[list[str]]) -> None:
    """Take as many locks as can be had, keep them until all have tried."""
    ours = Locks(Path(folder))
    answer.put([name for name in (f"{i:06d}" for i in range(count)) if ours.acquire(name)])
    time.sleep(60)


@pytest.mark.slow("many processes")
def test_many_processes_take_over_from_the_dead_and_each_lock_has_one_owner(tmp_path: Path) -> None:
    for i in range(0, 40, 2):
        write_lock(tmp_path, f"{i:06d}", DEAD)
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    processes = [context.Process(target=contend, args=(str(tmp_path), 40, answer), daemon=True) for _ in range(4)]
    for process in processes:
        process.start()
    taken = [name for _ in processes for name in answer.get(timeout=60)]
    for process in processes:
        process.kill()
        process.join()
    assert sorted(taken) == [f"{i:06d}" for i in range(40)]


def test_without_kernel_locks_there_is_still_one_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(38, "not here")

    monkeypatch.setattr("s2g.io.file_lock.fcntl.flock", unsupported)
    with locks.guard(tmp_path) as alone:
        assert not alone
    ours, theirs = Locks(tmp_path), Locks(tmp_path)
    assert ours.acquire("000000") is not None and theirs.acquire("000000") is None
    (tmp_path / "locks" / "000001").write_bytes(b"")  # perhaps being written just now: given its time
    assert ours.acquire("000001") is None
    ours.close()

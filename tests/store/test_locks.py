"""Leases: one owner, a heartbeat, and take-over from the dead, whatever the clocks say."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from s2g.store import locks
from s2g.store.locks import Locks, Owner

DEAD = replace(Owner.me(), pid=2**22 + 1, started="1")
ELSEWHERE = replace(Owner.me(), host="else.where~", machine="another")


class Clock:
    """A monotonic clock to be moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def write_lease(folder: Path, name: str, owner: Owner) -> Path:
    path = folder / "locks" / name / owner.scratch()
    path.mkdir(parents=True)
    return path


def test_one_owner_at_a_time_and_nothing_left(tmp_path: Path) -> None:
    ours, theirs = Locks(tmp_path), Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None and lock.ours() and lock.scratch.is_dir()
    assert theirs.acquire("000000") is None and theirs.acquire("000001") is not None
    assert ours.working() == [("000000", Owner.me()), ("000001", Owner.me())]
    ours.release(lock)
    again = theirs.acquire("000000")
    assert again is not None and not again.taken_from and not lock.ours()
    for held in (ours, theirs):
        held.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("owner", [Owner.me(), ELSEWHERE, replace(DEAD, started=""), replace(DEAD, host="ü~b.c")])
def test_a_leases_name_says_who_holds_it(owner: Owner) -> None:
    assert Owner.of(owner.scratch()) == Owner.of(f".{owner.scratch()}") == owner != Owner.of("000003.png")


def test_a_dead_owners_lease_is_taken_over_at_once_with_what_it_was_writing(tmp_path: Path) -> None:
    (write_lease(tmp_path, "000000", DEAD) / "000003.png").write_bytes(b"half")
    ours = Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None and str(DEAD.pid) in lock.taken_from
    assert list((tmp_path / "locks" / "000000").iterdir()) == [lock.scratch] and not list(lock.scratch.iterdir())
    ours.close()


def test_a_number_used_again_by_another_process_is_not_its_owner(tmp_path: Path) -> None:
    write_lease(tmp_path, "000000", replace(Owner.me(), started="1"))  # lives, but began at another time
    assert Locks(tmp_path).acquire("000000") is not None


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = locks._started(child.pid)
    assert started is not None
    write_lease(tmp_path, "000000", replace(Owner.me(), pid=child.pid, started=started))
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
    path, clock = write_lease(tmp_path, "000000", owner), Clock()
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


def test_the_heartbeat_keeps_a_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.02)
    ours = Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None
    os.utime(lock.scratch, (0, 0))
    until = time.monotonic() + 10
    while lock.scratch.stat().st_mtime == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert lock.scratch.stat().st_mtime > 0
    ours.close()


def test_who_was_taken_for_dead_stores_nothing_and_takes_nothing_back(tmp_path: Path) -> None:
    clock = Clock()
    hung, other = Locks(tmp_path), Locks(tmp_path, clock=clock)
    lock = hung.acquire("000000")
    assert lock is not None
    (lock.scratch / "000003.png").write_bytes(b"ready to be renamed")
    assert other.acquire("000000") is None
    clock.now += locks.PATIENCE + 1
    theirs = other.acquire("000000")
    assert theirs is not None and not lock.ours()
    with pytest.raises(FileNotFoundError):
        os.replace(lock.scratch / "000003.png", tmp_path / "000003.png")
    hung.release(lock)
    assert theirs.ours() and other.held
    other.close()
    assert not list(tmp_path.iterdir())


def test_of_two_that_saw_it_stale_only_one_takes_it_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one has seen the dead owner, and goes on only after the faster one has the lease."""
    write_lease(tmp_path, "000000", DEAD)
    fast, slow, real = Locks(tmp_path), Locks(tmp_path), Locks._gone
    won: list[object] = []

    def gone(self: Locks, path: Path) -> bool:
        seen = real(self, path)
        if self is slow and not won:
            won.append(fast.acquire("000000"))
        return seen

    monkeypatch.setattr(Locks, "_gone", gone)
    assert slow.acquire("000000") is None and won[0] is not None and fast.held["000000"].ours()
    fast.close()
    assert not list(tmp_path.iterdir())


def test_a_server_that_answers_twice_takes_no_lease_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply to a rename is lost, the request is sent again, and what was to be renamed is no longer there."""
    real = os.rename

    def twice(source: Path, target: Path) -> None:
        real(source, target)
        real(source, target)

    monkeypatch.setattr("s2g.store.locks.os.rename", twice)
    ours = Locks(tmp_path)
    lock = ours.acquire("000000")
    assert lock is not None and lock.ours()
    ours.close()


def test_what_lies_in_the_place_of_a_lease_is_none_and_nothing_outside_is_touched(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "locks" / "000001" / "no owner").mkdir(parents=True)
    (run / "locks" / "000002").write_text("a file")
    outside.mkdir()
    (outside / "000003.png").write_bytes(b"mine")
    (run / "locks" / "000003").symlink_to(outside)
    (run / "locks" / "000004").mkdir()  # an owner that was killed while it released the lease
    assert Locks(run).abandoned() == ["locks/000001/no owner", "locks/000002", "locks/000003"] == Locks(run).sweep()
    assert not list(run.iterdir()) and (outside / "000003.png").exists()


def test_sweep_clears_away_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    dead, theirs = write_lease(tmp_path, "000000", DEAD), write_lease(tmp_path, "000001", ELSEWHERE)
    unready = tmp_path / "locks" / f".{DEAD.scratch()}"
    unready.mkdir()
    (dead / "000003.png").write_bytes(b"half")
    ours = Locks(tmp_path)
    want = [str(path.relative_to(tmp_path)) for path in (unready, dead)]
    assert ours.abandoned() == want and ours.sweep() == want
    assert list((tmp_path / "locks").iterdir()) == [theirs.parent] and theirs.exists()


def test_a_lease_can_be_waited_for(tmp_path: Path) -> None:
    inside, seen = Counter[str](), []

    def work() -> None:
        for _ in range(20):
            with Locks(tmp_path).waited_for("write") as lock:
                inside["now"] += 1
                seen.append(inside["now"])
                (lock.scratch / "file").write_text("")
                inside["now"] -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [1] * 60 and not list(tmp_path.iterdir())


def contend(folder: str, count: int, answer: multiprocessing.Queue[list[str]]) -> None:
    """Take as many leases as can be had, keep them until all have tried."""
    ours = Locks(Path(folder))
    answer.put([name for name in (f"{i:06d}" for i in range(count)) if ours.acquire(name)])
    time.sleep(60)


@pytest.mark.slow("many processes")
def test_many_processes_take_over_from_the_dead_and_each_lease_has_one_owner(tmp_path: Path) -> None:
    for i in range(0, 40, 2):
        write_lease(tmp_path, f"{i:06d}", DEAD)
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
    Locks(tmp_path).sweep()
    assert not list(tmp_path.iterdir())


def pass_on(folder: str, rounds: int) -> None:
    """Take one lease again and again; while it is held, a file that only one process may make is made and removed."""
    place = Path(folder)
    for _ in range(rounds):
        with Locks(place / "run").waited_for("000000"):
            os.close(os.open(place / "alone", os.O_CREAT | os.O_EXCL))
            os.unlink(place / "alone")


@pytest.mark.slow("many processes")
def test_a_lease_that_changes_hands_all_the_time_has_one_owner(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=pass_on, args=(str(tmp_path), 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert not list((tmp_path / "run").iterdir())
    shutil.rmtree(tmp_path / "run")

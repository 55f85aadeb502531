"""Who works on what: a lock for each piece of work, with a heartbeat, taken over when its owner is gone.

A lock is a small file that names its owner. Whether the owner still lives is asked of the process table where that can
be done (same machine, same boot, same pid namespace). Elsewhere, and for a process that lives but hangs, the heartbeat
decides: the owner touches its locks, and one that nobody has seen change for `PATIENCE` is stale. Changes are counted
on our own monotonic clock, times of two clocks are never compared: neither a clock that jumps nor two machines that
disagree can make a lock look old.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from s2g.io.file_lock import try_lock

BEAT = 5.0  # seconds between heartbeats
PATIENCE = 60.0  # seconds without one before an owner that cannot be asked counts as gone
GUARDED = "journal.jsonl"
GUARD_WAIT = 10.0  # seconds; what is done under the guard takes milliseconds


@dataclass(frozen=True)
class Owner:
    """A process, told apart from a later one with the same number."""

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    @staticmethod
    def me() -> Owner:
        """This process."""
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            namespace = os.readlink("/proc/self/ns/pid")
        except OSError:
            boot = namespace = ""
        return Owner(platform.node(), boot, namespace, os.getpid(), _started(os.getpid()) or "")

    def alive(self, me: Owner) -> bool | None:
        """Whether it runs; None where `me` cannot know."""
        if (self.host, self.boot, self.namespace) != (me.host, me.boot, me.namespace):
            return None
        if me.started:
            return _started(self.pid) == self.started
        try:  # no /proc here: the number alone, which may be another process's by now
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _started(pid: int) -> str | None:
    """Ticks since boot when a process began, None if there is none (a zombie is none)."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else rest[18]


@contextlib.contextmanager
def guard(folder: Path) -> Iterator[bool]:
    """A short moment alone with a run's folder, among all processes that see it; whether that can be had.

    A kernel lock: it cannot be left behind. It is taken on the journal, a regular file that is never replaced, since
    network file systems lock files between machines and folders only within one. Where there are no such locks: False.
    """
    try:
        descriptor = os.open(folder / GUARDED, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:  # a store that cannot be written needs no guard against writers elsewhere
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + GUARD_WAIT
        alone = False
        with contextlib.suppress(OSError):  # this file system has no locks
            while not (alone := try_lock(descriptor)) and time.monotonic() < until:
                time.sleep(0.002)
        yield alone
    finally:
        os.close(descriptor)


@dataclass(eq=False)
class Lock:
    """A piece of work that is ours until it is released."""

    path: Path
    token: str
    scratch: Path  # where its files are written before they are renamed; gone with the lock
    taken_from: str = ""  # whose it was, if its owner was gone

    def ours(self) -> bool:
        """False once another process thought us dead and took over."""
        held = _read(self.path)
        return held is not None and held[1] == self.token


@dataclass
class Locks:
    """The locks of one folder, as one process sees and holds them."""

    folder: Path
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    me: Owner = field(default_factory=Owner.me)
    held: dict[str, Lock] = field(default_factory=dict)
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)  # heartbeat, and when it was first seen so
    _beating: threading.Event | None = None

    @property
    def place(self) -> Path:
        """Where the lock files are."""
        return self.folder / "locks"

    def acquire(self, name: str) -> Lock | None:
        """The lock, or None while somebody who may be alive has it; OSError if it cannot be written."""
        path = self.place / name
        taken_from = ""
        with guard(self.folder) as alone:
            self.place.mkdir(exist_ok=True)
            if path.exists():
                if not self._stale(name, alone):
                    return None
                owner = _read(path)
                taken_from = str(owner[0]) if owner else "an unreadable lock"
                path.unlink(missing_ok=True)
                if owner:
                    shutil.rmtree(self._scratch(name, owner[1]), ignore_errors=True)
            token = secrets.token_hex(4)
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError:
                return None
            lock = Lock(path, token, self._scratch(name, token), taken_from)
            try:
                os.write(descriptor, json.dumps({"owner": asdict(self.me), "token": token}).encode())
                lock.scratch.mkdir(parents=True)  # under the guard: nobody clears tmp/ away meanwhile
            except OSError:
                path.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
        self.held[name] = lock
        if self._beating is None:
            self._beating = threading.Event()
            threading.Thread(target=self._beat, args=(self._beating,), daemon=True, name="heartbeat").start()
        return lock

    def release(self, lock: Lock) -> None:
        """Give it back; what was not renamed is dropped."""
        shutil.rmtree(lock.scratch, ignore_errors=True)
        self.held.pop(lock.path.name, None)
        with guard(self.folder):
            if lock.ours():
                lock.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give back whatever is held, stop the heartbeat, and clear away what the dead have left."""
        for lock in list(self.held.values()):
            with contextlib.suppress(OSError):  # what stopped us may stop this too, and is what is to be told
                self.release(lock)
        if self._beating is not None:
            self._beating.set()
            self._beating = None
        self.sweep()

    def sweep(self) -> list[str]:
        """Remove locks of processes known to be dead and files that nobody is writing any more; their names."""
        gone: list[str] = []
        with contextlib.suppress(OSError), guard(self.folder) as alone:
            for name in self._dead(alone):
                (self.place / name).unlink(missing_ok=True)
                gone.append(f"locks/{name}")
            if not alone:  # somebody may be making a folder there just now
                return gone
            for path in self._unowned():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                gone.append(f"tmp/{path.name}")
            for place in (self.place, self.folder / "tmp"):
                with contextlib.suppress(OSError):  # not empty, or not there
                    place.rmdir()
        return gone

    def abandoned(self) -> list[str]:
        """What `sweep` would remove."""
        with guard(self.folder) as alone:
            dead = self._dead(alone)
            unowned = self._unowned(dead) if alone else []
            return [f"locks/{name}" for name in dead] + [f"tmp/{path.name}" for path in unowned]

    def working(self) -> list[tuple[str, Owner]]:
        """What is being worked on, by whom, as far as can be told."""
        found = [(path.name, _read(path)) for path in sorted(self.place.iterdir())] if self.place.exists() else []
        return [(name, held[0]) for name, held in found if held is not None and held[0].alive(self.me) is not False]

    def _dead(self, alone: bool) -> list[str]:
        names = [path.name for path in _listed(self.place)]
        return [name for name in names if name not in self.held and self._stale(name, alone)]

    def _unowned(self, dead: Sequence[str] = ()) -> list[Path]:
        place = self.folder / "tmp"
        held = [(path.name, _read(path)) for path in _listed(self.place)]
        living = {self._scratch(name, lock[1]).name for name, lock in held if lock is not None and name not in dead}
        return [path for path in _listed(place) if path.name not in living]

    def _scratch(self, name: str, token: str) -> Path:
        return self.folder / "tmp" / f"{name}.{token}"

    def _stale(self, name: str, alone: bool) -> bool:
        path = self.place / name
        held = _read(path)
        if held is None and alone:
            return True  # written under the guard, which we hold: whoever began to write it did not live to finish
        alive = held[0].alive(self.me) if held else None
        if alive is False:
            return True
        try:
            beat = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        before = self._seen.get(name)
        if before is None or before[0] != beat:
            self._seen[name] = (beat, self.clock())
            return False
        return self.clock() - before[1] > self.patience

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT):
            for lock in list(self.held.values()):
                with contextlib.suppress(OSError):  # a store that is not there for a moment
                    if lock.ours():
                        os.utime(lock.path)


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Tell others that this process is busy with a run, whether or not it makes a unit just now; clears up at the end."""
    locks = Locks(folder)
    with contextlib.suppress(OSError):  # a store that cannot be written cannot be deleted under us either
        locks.acquire(f"use-{locks.me.pid}-{secrets.token_hex(2)}")
    try:
        yield
    finally:
        locks.close()


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _read(path: Path) -> tuple[Owner, str] | None:
    """Owner and token of a lock file, None if it is not one."""
    try:
        content = json.loads(path.read_text())
        return Owner(**content["owner"]), str(content["token"])
    except (OSError, ValueError, TypeError, KeyError):
        return None

"""Locks on pieces of work, with a heartbeat; a lock is taken over when its owner is gone.

A lock is a small file that names its owner. On the same machine, boot and pid namespace the process table says whether
the owner is alive. Elsewhere, and for a process that hangs, the heartbeat decides: an owner touches its locks, and a lock
that has not changed for `PATIENCE` seconds is stale. These seconds are counted on our own monotonic clock and times of
two clocks are never compared, so neither a clock that jumps nor two machines that disagree make a lock look old.
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
from s2g.io.json_files import load_json

BEAT = 5.0  # seconds between heartbeats
PATIENCE = 60.0  # seconds without a heartbeat after which an owner counts as gone
GUARDED = "journal.jsonl"
GUARD_WAIT = 10.0  # seconds; work under the guard takes milliseconds


@dataclass(frozen=True)
class Owner:
    """A process, distinguished from a later one with the same number."""

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    @staticmethod
    def me() -> Owner:
        """Return this process."""
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            namespace = os.readlink("/proc/self/ns/pid")
        except OSError:
            boot = namespace = ""
        return Owner(platform.node(), boot, namespace, os.getpid(), _started(os.getpid()) or "")

    def alive(self, me: Owner) -> bool | None:
        """Return whether it runs; None if `me` cannot know."""
        if (self.host, self.boot, self.namespace) != (me.host, me.boot, me.namespace):
            return None
        if me.started:
            return _started(self.pid) == self.started
        try:  # without /proc: the number alone, which another process may have by now
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None if it does not run (a zombie does not)."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else rest[18]


@contextlib.contextmanager
def guard(folder: Path) -> Iterator[bool]:
    """Exclude all other processes from a run's folder for a short moment; yields whether that succeeded.

    The kernel lock is on the journal, a regular file that is never replaced, since network file systems lock files
    between machines but folders only within one. False where the file system has no locks.
    """
    try:
        descriptor = os.open(folder / GUARDED, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:  # a read-only store: the folder itself
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
    """A lock that this process holds until it is released."""

    path: Path
    token: str
    scratch: Path  # for files before they are renamed; removed with the lock
    taken_from: str = ""  # the previous owner, if it was gone

    def ours(self) -> bool:
        """Return False once another process has taken the lock over."""
        held = _read(self.path)
        return held is not None and held[1] == self.token


@dataclass
class Locks:
    """The locks in one folder, as one process sees and holds them."""

    folder: Path
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    me: Owner = field(default_factory=Owner.me)
    held: dict[str, Lock] = field(default_factory=dict)
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)  # heartbeat, and when it was first seen
    _beating: threading.Event | None = None

    @property
    def place(self) -> Path:
        """The folder of the lock files."""
        return self.folder / "locks"

    def acquire(self, name: str) -> Lock | None:
        """Return the lock, or None while an owner that may be alive holds it; OSError if it cannot be written."""
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
                lock.scratch.mkdir(parents=True)  # under the guard, so that no process clears tmp/ meanwhile
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
        """Release a lock; files that were not renamed are removed."""
        shutil.rmtree(lock.scratch, ignore_errors=True)
        self.held.pop(lock.path.name, None)
        with guard(self.folder):
            if lock.ours():
                lock.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release all locks, stop the heartbeat and sweep."""
        for lock in list(self.held.values()):
            with contextlib.suppress(OSError):  # the error that ended the work is the one to report
                self.release(lock)
        if self._beating is not None:
            self._beating.set()
            self._beating = None
        self.sweep()

    def sweep(self) -> list[str]:
        """Remove locks and temporary files of ended processes; return their names."""
        gone: list[str] = []
        with contextlib.suppress(OSError), guard(self.folder) as alone:
            for name in self._dead(alone):
                (self.place / name).unlink(missing_ok=True)
                gone.append(f"locks/{name}")
            if not alone:  # another process may be creating a folder there
                return gone
            for path in self._unowned():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                gone.append(f"tmp/{path.name}")
            for place in (self.place, self.folder / "tmp"):
                with contextlib.suppress(OSError):  # not empty, or not there
                    place.rmdir()
        return gone

    def abandoned(self) -> list[str]:
        """Return what `sweep` would remove."""
        with guard(self.folder) as alone:
            dead = self._dead(alone)
            unowned = self._unowned(dead) if alone else []
            return [f"locks/{name}" for name in dead] + [f"tmp/{path.name}" for path in unowned]

    def working(self) -> list[tuple[str, Owner]]:
        """Return the names of live locks and their owners."""
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
            return True  # locks are written under the guard, which we hold, so its writer died
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
                with contextlib.suppress(OSError):  # the store is briefly unavailable
                    if lock.ours():
                        os.utime(lock.path)


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Mark a run as in use by this process, so that it is not deleted; sweeps at the end."""
    locks = Locks(folder)
    with contextlib.suppress(OSError):  # a read-only store cannot be deleted either
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
    """Return owner and token of a lock file; None if it is not one."""
    try:
        content = load_json(path)
        return Owner(**content["owner"]), str(content["token"])
    except (OSError, ValueError, TypeError, KeyError):
        return None

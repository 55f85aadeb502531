"""Leases on pieces of work, for any number of processes and machines on one folder.

A lease is a folder, locks/NAME/OWNER: NAME is the work, OWNER says who holds it, and its unfinished files lie inside. The
holder makes it beside and renames it to locks/NAME, which the file system refuses while something is in there; so one of
many gets it. A lease whose owner is gone is removed, and with it the only names from which that owner could still rename a
file into the store: one that merely hung stores nothing after another process has taken over. Atomic mkdir and rename are
all that is asked of the file system; there are no kernel locks.

On the same machine, boot and pid namespace the process table says whether an owner is alive. Elsewhere, and for a process
that hangs, the heartbeat decides: an owner touches its leases, and one that has not changed for `PATIENCE` seconds is
stale. These seconds are counted on our own monotonic clock and times of two clocks are never compared, so neither a clock
that jumps nor two machines that disagree make a lease look old.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import random
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

BEAT = 5.0  # seconds between heartbeats
PATIENCE = 120.0  # seconds without one after which an owner counts as gone; an NFS client may show a time that is 60 s old
FOLDER = "locks"
UNREADY = "."  # begins the name of a lease that is being made
# How file systems refuse to rename onto a folder that holds something; sshfs has one word for whatever is refused.
HELD = (errno.ENOTEMPTY, errno.EEXIST, errno.EPERM)


@dataclass(frozen=True)
class Owner:
    """A process, distinguished from a later one with the same number."""

    host: str
    machine: str  # hash of host, boot and pid namespace: within one, pid and start tell processes apart
    pid: int
    started: str

    @staticmethod
    def me() -> Owner:
        """Return this process."""
        host = platform.node()
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            namespace = os.readlink("/proc/self/ns/pid")
        except OSError:
            boot = namespace = ""
        machine = hashlib.sha256(f"{host} {boot} {namespace}".encode()).hexdigest()[:12]
        return Owner(host, machine, os.getpid(), _started(os.getpid()) or "")

    @staticmethod
    def of(scratch: str) -> Owner | None:
        """Return the owner that the name of a lease's folder states; None if it states none."""
        parts = scratch.removeprefix(UNREADY).rsplit("~", 4)
        return Owner(parts[0], parts[1], int(parts[2]), parts[3]) if len(parts) == 5 and parts[2].isdecimal() else None

    def scratch(self) -> str:
        """Return a name for the folder of a new lease."""
        return f"{self.host[:128]}~{self.machine}~{self.pid}~{self.started}~{secrets.token_hex(4)}"

    def alive(self, me: Owner) -> bool | None:
        """Return whether it runs; None if `me` cannot know."""
        if self.machine != me.machine:
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


@dataclass(eq=False)
class Lock:
    """A lease that this process holds until it is released, or taken over because the process seemed gone."""

    scratch: Path  # for files before they are renamed; gone once the lease is
    taken_from: str = ""  # the previous owner, if it was gone

    @property
    def path(self) -> Path:
        """The folder of the work."""
        return self.scratch.parent

    def ours(self) -> bool:
        """Return False once another process has taken it over."""
        return self.scratch.exists()


@dataclass
class Locks:
    """The leases in one folder, as one process sees and holds them."""

    folder: Path
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    me: Owner = field(default_factory=Owner.me)
    held: dict[str, Lock] = field(default_factory=dict)
    _seen: dict[Path, tuple[int, float]] = field(default_factory=dict)  # heartbeat, and when it was first seen
    _beating: threading.Event | None = None

    @cached_property
    def place(self) -> Path:
        """The folder of the leases."""
        return self.folder / FOLDER

    def acquire(self, name: str) -> Lock | None:
        """Return the lease, or None while an owner that may be alive holds it; OSError if it cannot be written."""
        place, taken_from = self.place / name, ""
        for owner in _listed(place):
            if not self._gone(owner):
                return None
            taken_from = str(Owner.of(owner.name) or "an unknown owner")
            _remove(owner)
        lock = Lock(place / self.me.scratch(), taken_from)
        unready = self.place / f"{UNREADY}{lock.scratch.name}"
        try:
            self._make(unready / lock.scratch.name)
            os.rename(unready, place)
        except OSError as error:
            # A server that answers twice says that there is no such folder, the second time.
            if not lock.ours():
                _remove(unready)
                if error.errno in HELD:
                    return None
                raise
        self.held[name] = lock
        if self._beating is None:
            self._beating = threading.Event()
            threading.Thread(target=self._beat, args=(self._beating,), daemon=True, name="heartbeat").start()
        return lock

    @contextlib.contextmanager
    def waited_for(self, name: str) -> Iterator[Lock]:
        """Hold a lease, as soon as no other process does."""
        while (lock := self.acquire(name)) is None:
            time.sleep(random.uniform(0.005, 0.05))
        try:
            yield lock
        finally:
            self.release(lock)
            if not self.held:
                self._stop()

    def release(self, lock: Lock) -> None:
        """Release a lease; files that were not renamed are removed."""
        self.held.pop(lock.path.name, None)
        _remove(lock.scratch)
        for folder in (lock.path, *(() if self.held else (self.place,))):
            with contextlib.suppress(OSError):  # it is another's by now, or other leases are in there
                folder.rmdir()

    def close(self) -> None:
        """Release all leases, stop the heartbeat and sweep."""
        for lock in list(self.held.values()):
            self.release(lock)
        self._stop()
        self.sweep()

    def sweep(self) -> list[str]:
        """Remove leases of ended processes with their files; return their names."""
        dead = self._dead()
        for path in dead:
            _remove(path)
        for folder in (*(path for path in _listed(self.place) if not _listed(path)), self.place):
            with contextlib.suppress(OSError):  # not there, or in use
                folder.rmdir()
        return [str(path.relative_to(self.folder)) for path in dead]

    def abandoned(self) -> list[str]:
        """Return what `sweep` would remove."""
        return [str(path.relative_to(self.folder)) for path in self._dead()]

    def working(self) -> list[tuple[str, Owner]]:
        """Return the names of live leases and their owners."""
        found = [(path.parent.name, Owner.of(path.name)) for path in self._all() if path.parent != self.place]
        return [(name, owner) for name, owner in found if owner is not None and owner.alive(self.me) is not False]

    def _all(self) -> list[Path]:
        """Return the folders of all leases, those in the making included, and whatever else lies where they do."""
        paths = []
        for path in _listed(self.place):
            whole = path.name.startswith(UNREADY) or path.is_symlink() or not path.is_dir()
            paths += [path] if whole else _listed(path)
        return paths

    def _dead(self) -> list[Path]:
        ours = {lock.scratch for lock in self.held.values()}
        return [path for path in self._all() if path not in ours and self._gone(path)]

    def _gone(self, path: Path) -> bool:
        owner = Owner.of(path.name)
        if owner is None:
            return True  # no process of ours has written this
        alive = owner.alive(self.me)
        if alive is False:
            return True
        try:
            beat = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        before = self._seen.get(path)
        if before is None or before[0] != beat:
            self._seen[path] = (beat, self.clock())
            return False
        return self.clock() - before[1] > self.patience

    @staticmethod
    def _make(folder: Path) -> None:
        """Make the folder of a lease, while other processes remove the folder of all leases whenever it is empty."""
        for _ in range(1000):
            with contextlib.suppress(FileNotFoundError):
                folder.parent.mkdir(parents=True)
                return folder.mkdir()
        folder.mkdir(parents=True)

    def _stop(self) -> None:
        if self._beating is not None:
            self._beating.set()
            self._beating = None

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT):
            for lock in list(self.held.values()):
                with contextlib.suppress(OSError):  # it is taken over, or the store is briefly unavailable
                    os.utime(lock.scratch)


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Mark a run as in use by this process, so that it is not deleted; sweeps at the end."""
    locks = Locks(folder)
    with contextlib.suppress(OSError):  # a read-only store cannot be deleted either
        locks.acquire(f"use-{locks.me.pid}-{secrets.token_hex(4)}")
    try:
        yield
    finally:
        locks.close()


def _listed(folder: Path) -> list[Path]:
    """Return what a folder holds; nothing if there is none, or if it is a link out of the store."""
    try:
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if error.errno == errno.ESTALE:  # a network file system's word for one that another machine has just removed
            return []
        raise


def _remove(path: Path) -> None:
    """Remove a lease's folder, or a file in the place of one; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()

"""Kernel locks on files: they end with the processes that hold them, whatever ends those."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def try_lock(descriptor: int) -> bool:
    """Lock an open file if no other process holds its lock; return whether it is ours. OSError where locks are unsupported."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


@contextmanager
def file_lock(path: Path) -> Iterator[int]:
    """Hold the lock of a file, which is created if it is missing, once no other process holds it.

    Yields the file's descriptor: a child process that inherits it holds the lock too.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)

"""Kernel locks on files of the cache: they end with the processes that hold them, whatever ends those.

Stores do without (s2g/store/locks.py): not every file system of a cluster has kernel locks.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is created if it is missing, once no other process holds it; OSError if unsupported."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

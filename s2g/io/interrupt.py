"""Ctrl-C at moments that cannot bear it, and what is said when it has stopped something."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

STOPPED = "\nstopped; the units that were finished are stored, and the same command goes on from there"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the end, then raise KeyboardInterrupt: in the middle of loading torch they abort."""
    if current_thread() is not main_thread():
        yield
        return
    asked: list[int] = []
    before = {number: signal.signal(number, lambda n, _: asked.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        raise KeyboardInterrupt

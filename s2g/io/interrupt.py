"""Delay Ctrl-C while an import must not be interrupted, and the message after an interruption."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

INTERRUPTED = "\nInterrupted. Finished units are stored; run the same command to resume."


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the block ends, then raise KeyboardInterrupt; while torch loads they would abort it."""
    if current_thread() is not main_thread():
        yield
        return
    received: list[int] = []
    before = {number: signal.signal(number, lambda n, _: received.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt

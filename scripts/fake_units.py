"""Units and jobs that sleep instead of computing, for scripts/scheduling.py: a module of its own, which workers import.

FAKE_SECONDS: how long a unit sleeps; FAKE_STORED: whether it stores records; FAKE_LOG: a file of "PID BEGIN END" lines.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from s2g.engine.worker import Task

FACTS = {"masks": [[3, 7]] * 28, "seconds": 9.6, "network_seconds": 9.4, "calls": 84, "evaluations": 84, "environment": "0" * 8}


def sleep(seconds: float) -> float:
    """Sleep, tell the log when, and return the seconds."""
    began = time.time()
    time.sleep(seconds)
    if log := os.environ.get("FAKE_LOG"):
        with Path(log).open("a") as stream:
            stream.write(f"{os.getpid()} {began} {time.time()}\n")
    return seconds


class FakeUnit(Task):
    """Takes the place of a unit's task in the engine."""

    def do(self, device: str) -> float:
        """Sleep; store zeros if that is asked for."""
        seconds = sleep(float(os.environ["FAKE_SECONDS"]))
        if os.environ.get("FAKE_STORED"):
            items = self.run.unit(self.unit).items
            self.store.put(self.unit, items, np.zeros((len(items), 8, 8, 3), np.uint8), dict(FACTS), self.scratch)
        return seconds


@dataclass(frozen=True)
class FakeScore:
    """Takes the place of a row's scoring."""

    seconds: float

    scoring: ClassVar[bool] = True

    def do(self, device: str) -> float:
        """Sleep."""
        return sleep(self.seconds)

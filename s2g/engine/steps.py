"""Steps of a unit that is being sampled, told from a worker to its parent through a small file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME = "step"  # of the file in a unit's scratch folder
THROTTLE = 1.0  # seconds between writes


class StepFile:
    """What the sampling loop shows its state to (`watch`): writes the share of steps done, at most once a second."""

    def __init__(self, scratch: Path, steps: int, parts: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """parts: as many runs of the loop as the unit is sampled in."""
        self._path, self._steps, self._parts, self._clock = scratch / NAME, steps, parts, clock
        self._shown = -1  # the loop shows its state before the first step, too
        self._written = clock()

    def __call__(self, state: Any) -> None:
        self._shown += 1
        if self._clock() - self._written >= THROTTLE:
            self._written = self._clock()
            part, step = divmod(self._shown, self._steps + 1)
            with contextlib.suppress(OSError):  # a full disk is reported where it matters
                self._path.write_text(f"{(part * self._steps + step) / (self._steps * self._parts):.4f}")


def share_done(scratch: Path) -> float:
    """Return the share of a unit's steps that are done, 0 where nothing is known."""
    try:
        return min(max(float((scratch / NAME).read_text()), 0.0), 1.0)
    except (OSError, ValueError):
        return 0.0

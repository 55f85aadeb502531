"""What happened to a run, in order: journal.jsonl, appended to by every process that works on it.

Nothing depends on it: a run without one is complete all the same. It says how fast a run goes, how often it was
interrupted, and who made what.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TAIL = 1 << 16  # bytes read for "lately"


@dataclass(frozen=True)
class Journal:
    """The journal of one run's folder."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / "journal.jsonl"

    def add(self, event: str, **facts: Any) -> None:
        """Append one line; a store that is full or read-only does without."""
        line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts})
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o644)
            try:
                end = os.lseek(descriptor, 0, os.SEEK_END)
                whole = end == 0 or os.pread(descriptor, 1, end - 1) == b"\n"  # else a full disk cut a line short
                os.write(descriptor, f"{'' if whole else chr(10)}{line}\n".encode())  # one write: lines do not mix
            finally:
                os.close(descriptor)

    def events(self, lately: bool = False) -> Iterator[dict[str, Any]]:
        """All events in order, or those of the last 64 KiB; what is not a line of ours is passed over."""
        try:
            with self.path.open("rb") as stream:
                if lately and stream.seek(0, os.SEEK_END) > TAIL:
                    stream.seek(-TAIL, os.SEEK_END)
                    stream.readline()
                else:
                    stream.seek(0)
                for line in stream:
                    with contextlib.suppress(ValueError):
                        event = json.loads(line)
                        if isinstance(event, dict) and isinstance(event.get("event"), str):
                            yield event
        except OSError:
            return

"""The journal of a run, journal.jsonl: what happened in order, appended to by every process that works on the run.

It shows the speed, the interruptions and which process sampled what. Nothing depends on it: a run without one is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from s2g.io.json_files import parse

TAIL = 1 << 16  # bytes read for the latest events


@dataclass(frozen=True)
class Journal:
    """The journal of one run."""

    folder: Path

    @cached_property
    def path(self) -> Path:
        """Its path."""
        return self.folder / "journal.jsonl"

    def add(self, event: str, **facts: Any) -> None:
        """Append one line; a full or read-only store is ignored."""
        line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts})
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o644)
            try:
                end = os.lseek(descriptor, 0, os.SEEK_END)
                whole = end == 0 or os.pread(descriptor, 1, end - 1) == b"\n"  # else a full disk has truncated it
                os.write(descriptor, f"{'' if whole else chr(10)}{line}\n".encode())  # lines of two processes do not mix
            finally:
                os.close(descriptor)

    def events(self, lately: bool = False) -> Iterator[dict[str, Any]]:
        """Yield all events in order, or those of the last 64 KiB; lines that are no events are skipped."""
        try:
            if not self.path.is_file():  # opening a pipe would wait for a writer
                return
            with self.path.open("rb") as stream:
                if lately and stream.seek(0, os.SEEK_END) > TAIL:
                    stream.seek(-TAIL, os.SEEK_END)
                    stream.readline()
                else:
                    stream.seek(0)
                for line in stream:
                    with contextlib.suppress(ValueError):
                        event = parse(line)
                        if isinstance(event, dict) and isinstance(event.get("event"), str):
                            yield event
        except OSError:
            return

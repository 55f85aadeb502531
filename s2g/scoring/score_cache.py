"""What scorers said, by key, as lines of JSONL that several processes add to at once: each to a file of its own.

A folder holds values.jsonl; a process that finds it taken writes part-1/values.jsonl, or the next that is free. Whoever
reads takes them all together. A file belongs to one writer by a kernel lock, which ends with the writer, whatever ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from s2g.io.file_lock import try_lock

FILE = "values.jsonl"


def places(folder: Path) -> list[Path]:
    """Every folder in which values of this one may lie."""
    return [folder, *sorted(folder.glob("part-*"))]


def known(folder: Path) -> dict[str, Any]:
    """Values by key, whoever wrote them."""
    found: dict[str, Any] = {}
    for place in places(folder):
        found |= read_values(place / FILE)
    return found


def read_values(path: Path) -> dict[str, Any]:
    """Values by key of one file; lines that were not finished, or that a loss of power has spoiled, are as if not there."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    found: dict[str, Any] = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            found[str(entry["key"])] = entry["value"]
    return found


def mend(path: Path) -> None:
    """Cut off a last line that was not finished, so that the next one begins a line; for the file's owner alone."""
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as stream:
                stream.truncate(whole)


@contextlib.contextmanager
def own_place(folder: Path) -> Iterator[tuple[Path, int]]:
    """The first folder in which nobody else writes, and the descriptor of its lock, for children to hold it too."""
    for number in count():
        place = folder / f"part-{number}" if number else folder
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if try_lock(descriptor):
                yield place, descriptor
                return
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Callable[[str, Any], None]]:
    """What keeps a value under its key at once: whatever ends the process, only what it had in hand is lost."""
    with own_place(folder) as (place, _):
        mend(place / FILE)
        with (place / FILE).open("a") as stream:

            def keep(key: str, value: Any) -> None:
                stream.write(json.dumps({"key": key, "value": value}) + "\n")
                stream.flush()

            yield keep

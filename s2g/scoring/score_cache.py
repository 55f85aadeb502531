"""Cached values of scorers by key, as JSON lines; several processes add to the cache at once, each to its own file.

A folder holds values.jsonl; a process that finds it locked writes part-1/values.jsonl, or the next that is free. Readers
take all files together. A kernel lock gives each file one writer, and ends with it.
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
from s2g.io.json_files import parse

FILE = "values.jsonl"


def places(folder: Path) -> list[Path]:
    """Return all folders that may hold values of this one."""
    return [folder, *sorted(folder.glob("part-*"))]


def known(folder: Path) -> dict[str, Any]:
    """Return all values by key, whichever process wrote them."""
    found: dict[str, Any] = {}
    for place in places(folder):
        found |= read_values(place / FILE)
    return found


def read_values(path: Path) -> dict[str, Any]:
    """Return the values of one file by key, without lines that are incomplete or damaged."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    found: dict[str, Any] = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = parse(line)
            found[str(entry["key"])] = entry["value"]
    return found


def mend(path: Path) -> None:
    """Remove an incomplete last line, so that the next value starts a line; only the file's writer may call this."""
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as stream:
                stream.truncate(whole)


@contextlib.contextmanager
def own_place(folder: Path) -> Iterator[tuple[Path, int]]:
    """Lock the first folder that no other process writes to; yields it and the lock's descriptor, for child processes."""
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
    """Yield a function that stores a value under its key at once, so that a killed process loses only the current value."""
    with own_place(folder) as (place, _):
        mend(place / FILE)
        with (place / FILE).open("a") as stream:

            def write(key: str, value: Any) -> None:
                stream.write(json.dumps({"key": key, "value": value}) + "\n")
                stream.flush()

            yield write

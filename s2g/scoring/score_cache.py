"""Cached values of scorers by key, as JSON lines; several processes, on several machines, add to the cache at once.

Each process appends to a file of its own, part-PROCESS/values.jsonl, so nothing is ever locked. Readers take all files
together, and values.jsonl beside the parts, where earlier versions wrote. Who asks what is settled before, by leases.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from s2g.io.json_files import parse
from s2g.store.locks import Owner

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


def own_place(folder: Path) -> Path:
    """Return the folder, made if need be, that only this process writes to."""
    me = Owner.me()  # a later process with its number has another name
    place = folder / f"part-{me.host[:64]}-{me.machine}-{me.pid}-{me.started}"
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Callable[[str, Any], None]]:
    """Yield a function that stores a value under its key at once, so that a killed process loses only the current value."""
    file = own_place(folder) / FILE
    mend(file)
    with file.open("a") as stream:

        def write(key: str, value: Any) -> None:
            stream.write(json.dumps({"key": key, "value": value}) + "\n")
            stream.flush()

        yield write

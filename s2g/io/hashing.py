"""sha256 of files, cached below S2G_CACHE until a file changes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s2g.io.atomic import write_bytes
from s2g.io.cache import cache_folder
from s2g.io.json_files import load_json


def content_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes; a file of the same path, size and times as before is not read again.

    OSError for a pipe or device, which would never end.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))

    def digest() -> str:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    return remembered_hash(str(path.resolve()), state_of(state), digest)


def state_of(file: os.stat_result) -> list[int]:
    """Return what changes with a file's content: its size and times in nanoseconds."""
    return [file.st_size, file.st_mtime_ns, file.st_ctime_ns]


def remembered_hash(name: str, state: list[Any], digest: Callable[[], str]) -> str:
    """Return digest(), computed only if `state` (plain JSON data) is not what it was when `name` was last asked for."""
    identity = [name, *state]
    note = cache_folder() / "hashes" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # an unreadable note counts as none
        stored = load_json(note)
        if stored["of"] == identity:
            return str(stored["sha256"])
    found = digest()
    with contextlib.suppress(OSError):  # without a writable cache it is computed every time
        write_bytes(note, json.dumps({"of": identity, "sha256": found}).encode())
    return found

"""sha256 of files, remembered below S2G_CACHE while a file does not change."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from s2g.io.cache import cache_folder, put


def content_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes; a file of the same path, size and times as before is not read again."""
    stat = path.stat()
    identity = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    note = cache_folder() / "hashes" / f"{hashlib.sha256(identity[0].encode()).hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # an unreadable note counts as none
        stored = json.loads(note.read_text())
        if stored["of"] == identity:
            return str(stored["sha256"])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    with contextlib.suppress(OSError):  # without a writable cache the file is hashed every time
        put(note, json.dumps({"of": identity, "sha256": digest}).encode())
    return digest

"""What can be made again and is kept outside any run: the hashes of large files, the embeddings of prompts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path


def cache_folder() -> Path:
    """S2G_CACHE if it is set, else s2g below XDG_CACHE_HOME or ~/.cache; it need not exist yet."""
    typed = os.environ.get("S2G_CACHE")
    if typed:
        return Path(typed).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "s2g"


def put(path: Path, content: bytes) -> None:
    """A file that appears whole or not at all; its folder is made. OSError where it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def content_hash(path: Path) -> str:
    """sha256 of a file's bytes; of a file that has not changed since (place, size, times) it is remembered."""
    about = path.stat()
    seen = [str(path.resolve()), about.st_size, about.st_mtime_ns, about.st_ctime_ns]
    note = cache_folder() / "hashes" / f"{hashlib.sha256(seen[0].encode()).hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # a note that cannot be read is none
        known = json.loads(note.read_text())
        if known["of"] == seen:
            return str(known["sha256"])
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    with contextlib.suppress(OSError):  # where nothing can be kept it is hashed anew each time
        put(note, json.dumps({"of": seen, "sha256": found}).encode())
    return found

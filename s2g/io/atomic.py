"""Files appear whole or not at all, and are on the disk before anything is said to rest on them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes, scratch: Path | None = None) -> None:
    """Write under a temporary name in `scratch` (or beside `path`), then rename; OSError leaves what was there."""
    temporary = (path.parent if scratch is None else scratch) / f".{path.name}.{os.getpid()}.tmp"
    try:
        _flushed(temporary, content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_together(folder: Path, files: dict[str, bytes], scratch: Path) -> None:
    """Several files of one folder: all are on the disk under temporary names before the first is renamed."""
    for name, content in files.items():
        _flushed(scratch / name, content)
    for name in files:
        os.replace(scratch / name, folder / name)
    flush_folder(folder)


def write_json(path: Path, content: Any, scratch: Path | None = None) -> None:
    """Readable JSON, whole or not at all."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(), scratch)


def flush_folder(folder: Path) -> None:
    """The names in a folder, made to last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flushed(path: Path, content: bytes) -> None:
    try:
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:  # what a full disk says does not name the file
        raise OSError(error.errno, error.strerror, str(path)) from error

"""Atomic, durable writes: a file appears whole or not at all, and is on disk before anything refers to it."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes, scratch: Path | None = None) -> None:
    """Write under a temporary name and rename; OSError leaves what was there.

    The temporary name is in `scratch`, by default beside `path`, where missing folders are created.
    """
    if scratch is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = (scratch or path.parent) / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        _flushed(temporary, content)
        _replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_together(folder: Path, files: dict[str, bytes], scratch: Path) -> None:
    """Write several files of one folder; all are on disk under temporary names before the first is renamed."""
    for name, content in files.items():
        _flushed(scratch / name, content)
    for name in files:
        _replace(scratch / name, folder / name)
    flush_folder(folder)


def write_json(path: Path, content: Any, scratch: Path | None = None) -> None:
    """Write indented JSON with sorted keys atomically."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(), scratch)


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that renames survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(temporary: Path, path: Path) -> None:
    """Rename over `path`; a folder that stands in the way is kept under the name NAME.aside.XXXX."""
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}.aside.{secrets.token_hex(2)}"))
    os.replace(temporary, path)


def _flushed(path: Path, content: bytes) -> None:
    try:
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:  # the error of a full disk does not name the file
        raise OSError(error.errno, error.strerror, str(path)) from error

"""What can be made again and is kept outside any run: the hashes of large files, the embeddings of prompts."""

from __future__ import annotations

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

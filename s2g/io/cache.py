"""The folder for everything that can be recomputed or downloaded again: hashes, prompt embeddings, environments, prompts."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return S2G_CACHE if it is set, else s2g below XDG_CACHE_HOME or ~/.cache; it may not exist yet."""
    typed = os.environ.get("S2G_CACHE")
    if typed:
        return Path(typed).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "s2g"

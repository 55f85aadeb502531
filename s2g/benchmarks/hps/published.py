"""What is known of the official files: sha256 as recorded when they were first fetched, and required ever after.

No sha256 of them is published where this could be written from, so the first fetch is trusted, and nothing after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2g.errors import UserError
from s2g.io.atomic import write_bytes
from s2g.io.cache import cache_folder
from s2g.io.file_lock import file_lock
from s2g.io.json_files import load_json

REPOSITORY = "xswu/HPSv2"  # of the hub; weights
DATA_SET = "zhwang/HPDv2"  # of the hub, a data set; prompts
V21, V20 = "HPS_v2.1_compressed.pt", "HPS_v2_compressed.pt"


def place() -> Path:
    """Return the folder of what `s2g fetch hps` fetched and recorded."""
    return cache_folder() / "hps"


def recorded() -> dict[str, dict[str, Any]]:
    """Read {prompts: {style: {sha256, count}}, weights: {file name: sha256}}; empty if nothing was recorded.

    UserError for a record that cannot be read: taken for an empty one, it would let through what it refuses.
    """
    file = place() / "recorded.json"
    try:
        content = load_json(file)
        return {kind: dict(content[kind]) for kind in ("prompts", "weights")}
    except FileNotFoundError:
        return {"prompts": {}, "weights": {}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file}: the record of what was fetched cannot be read ({type(error).__name__}: {error})",
            todo="restore it; or delete it, and s2g fetch hps records what the hub has now, without comparing it with before",
        ) from error


def record(kind: str, found: Mapping[str, Any]) -> None:
    """Record what was fetched; earlier entries stay, also under concurrent writers."""
    place().mkdir(parents=True, exist_ok=True)
    with file_lock(place() / "recorded.lock"):
        before = recorded()
        before[kind] = {**found, **before[kind]}
        write_bytes(place() / "recorded.json", (json.dumps(before, indent=1, sort_keys=True) + "\n").encode())

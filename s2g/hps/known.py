"""What is known of the official files: sha256 as recorded when they were first fetched, and required ever after.

No sha256 of them is published where this could be written from, so the first fetch is trusted, and nothing after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2g.cached import cache_folder, put

REPOSITORY = "xswu/HPSv2"  # of the hub; weights
DATA_SET = "zhwang/HPDv2"  # of the hub, a data set; prompts
V21, V20 = "HPS_v2.1_compressed.pt", "HPS_v2_compressed.pt"


def place() -> Path:
    """Where `s2g fetch hps` puts prompts, and what it recorded."""
    return cache_folder() / "hps"


def recorded() -> dict[str, dict[str, Any]]:
    """prompts: style -> {sha256, count}; weights: file name -> sha256; empty where nothing was recorded."""
    try:
        content = json.loads((place() / "recorded.json").read_text())
        return {kind: dict(content[kind]) for kind in ("prompts", "weights")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"prompts": {}, "weights": {}}


def record(kind: str, found: Mapping[str, Any]) -> None:
    """Note what was fetched; what was noted before stays, whatever comes later."""
    before = recorded()
    before[kind] = {**found, **before[kind]}
    put(place() / "recorded.json", (json.dumps(before, indent=1, sort_keys=True) + "\n").encode())

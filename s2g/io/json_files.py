"""Stored JSON read with limits: regular files only, bounded in size and depth; shapes are checked by pydantic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s2g.io.input_files import LARGEST, read_regular

DEEPEST = 100  # levels; nothing that is stored has ten


def load_json(path: Path, largest: int = LARGEST) -> Any:
    """Read a JSON file; OSError for what is no regular file or larger than `largest` bytes, ValueError as `parse` raises it."""
    return parse(read_regular(path, largest))


def parse(text: str | bytes) -> Any:
    """Parse JSON; ValueError for what is none or is nested too deep."""
    try:
        value = json.loads(text)
        _check_depth(value, DEEPEST)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise ValueError("nested too deep")
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inside, dict | list):
            _check_depth(inside, left - 1)

"""Text and JSON files that a user names: UTF-8, with or without a byte-order mark; lines end at \\n and \\r\\n alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from s2g.errors import UserError
from s2g.io.input_files import read_regular


def read_text(path: Path, key: str, todo: str = "") -> str:
    """Read a file; UserError beginning with `key` if it cannot be read or is not UTF-8."""
    try:
        return read_regular(path).decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{key}: {error.strerror}", todo=todo) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{key}: not text in UTF-8 (byte {error.start})", todo="save it as UTF-8") from error


def lines_of(text: str) -> list[str]:
    """Split at \\n and \\r\\n, and nowhere else: str.splitlines also splits at form feeds and U+2028, which texts contain."""
    lines = re.split("\r?\n", text)
    return lines if lines[-1] else lines[:-1]


def parse_json(text: str, key: str, allowed: str) -> Any:
    """Parse JSON; UserError beginning with `key` for what is none, repeats a name, or holds half of a surrogate pair."""
    try:
        values = json.loads(text, object_pairs_hook=_without_repeats)
        if "\\u" in text:
            json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise UserError(f"{key}: half of a surrogate pair ({half}), which is no character", allowed=allowed) from error
    except RecursionError as error:
        raise UserError(f"{key}: not JSON (nested too deep)", allowed=allowed) from error
    except ValueError as error:
        raise UserError(f"{key}: not JSON ({error})", allowed=allowed) from error
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object; ValueError for a repeated name, of which Python would silently keep the last value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found

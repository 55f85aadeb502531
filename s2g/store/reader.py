"""Read stored items and check each against the sha256 in its unit's record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2g.errors import DamageError
from s2g.io.input_files import read_regular
from s2g.store.items import Content, own_bytes

LARGEST_ITEM = 2**34  # bytes: features of a large unit


class Reader:
    """Items of one run's folder; a file that consecutive items share is read once."""

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / "items"
        self._file, self._content = "", Content(b"")

    def verified(self, entry: Mapping[str, Any]) -> Content:
        """Return the file of an item, given its entry in a record; DamageError if the item is not what was written."""
        path, where = self.folder / entry["file"], f" in row {entry['row']}" if "row" in entry else ""
        if entry["file"] != self._file:
            self._file, self._content = "", _read(path)
            self._file = entry["file"]
        try:
            item = own_bytes(entry, self._content)
        except ValueError as error:
            raise DamageError(path, f"is not what was written{where}: it cannot be read as an array") from error
        if hashlib.sha256(item).hexdigest() != entry["sha256"]:
            raise DamageError(path, f"is not what was written{where}: its sha256 differs from the record's")
        return self._content


def _read(path: Path) -> Content:
    try:
        return Content(read_regular(path, LARGEST_ITEM))
    except FileNotFoundError as error:
        raise DamageError(path, "is gone") from error
    except OSError as error:
        raise DamageError(path, f"cannot be read ({error.strerror})") from error

"""Whether an item that was made again is the stored one, and how far it is from it if not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2g.errors import UserError
from s2g.store.items import Film, packed, value_of
from s2g.store.reader import Reader
from s2g.store.store import Store


@dataclass(frozen=True)
class Likeness:
    """same: the stored bytes. Else, where the item itself is kept: how many of its values differ, and by how much at most."""

    same: bool
    values: int
    differing: int | None = None
    most: float | None = None

    def __str__(self) -> str:
        if self.same:
            return "the stored one to the byte"
        if self.differing is None:
            return "not the stored one; how far it is cannot be said, since the item itself was not kept"
        return f"not the stored one: {self.differing} of {self.values} values differ, by {self.most:g} at most"


def entry_of(store: Store, item: int) -> dict[str, Any]:
    """Return an item's entry in its unit's record; UserError if it is not stored."""
    size = store.read_run()["identity"]["model"]["unit"]
    unit = item // size
    stored = store.stored()
    if item < 0 or unit not in stored:
        last = max(stored, default=-1) * size + size - 1
        raise UserError(
            f"item = {item}: {store.display_path()} does not hold it",
            allowed=f"0 to {last}, where stored" if stored else "none is stored",
        )
    return next(entry for entry in store.record(unit)["items"] if entry["item"] == item)


def file_of(item: int, made: np.ndarray, film: Film) -> bytes:
    """Return what the file of an item alone holds: a PNG, a video, or an npy array."""
    return next(iter(packed(0, [item], made[None], None, film)[0].values()))


def likeness(store: Store, item: int, made: np.ndarray, film: Film) -> Likeness:
    """Hold an item that was made again against the stored one; DamageError if that is not what was written."""
    entry = entry_of(store, item)
    if "pixels" in entry:
        same = hashlib.sha256(made.tobytes()).hexdigest() == entry["pixels"]
    else:
        same = packed(0, [item], made[None], None, film)[1][0]["sha256"] == entry["sha256"]
    kept = store.record(item // store.read_run()["identity"]["model"]["unit"]).get("kept")
    if same or "file" not in entry or kept in ("none", "features"):
        return Likeness(same, made.size)
    stored = value_of(entry, Reader(store.folder).verified(entry))
    if stored.shape != made.shape:
        return Likeness(False, made.size)
    apart = np.abs(stored.astype(np.float64) - made.astype(np.float64))
    return Likeness(False, made.size, int((apart > 0).sum()), float(apart.max()))

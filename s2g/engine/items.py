"""An item as bytes: an image is a PNG of its own, a point a row of its unit's array file; its sha256 is of its own bytes."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

Entry = Mapping[str, Any]  # of a unit's record: item, file, sha256, and of a point its row
FILES = re.compile(r"(?P<item>\d{6,})\.png|unit-(?P<unit>\d{6,})\.npy")  # what lies in items/


def packed(unit: int, items: Sequence[int], values: np.ndarray) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Files by name, and an entry for each item, of uint8 images [B, H, W, 3] or float32 points [B, ...]."""
    if values.dtype == np.uint8:
        files = {f"{item:06d}.png": png(image) for item, image in zip(items, values, strict=True)}
        contents = list(files.values())
        places = [{"file": name} for name in files]
    else:
        points = np.ascontiguousarray(values, dtype="<f4")
        stream = io.BytesIO()
        np.save(stream, points, allow_pickle=False)
        name = f"unit-{unit:06d}.npy"
        files = {name: stream.getvalue()}
        contents = [point.tobytes() for point in points]
        places = [{"file": name, "row": row} for row in range(len(points))]
    entries = [
        {"item": item, **place, "sha256": hashlib.sha256(content).hexdigest()}
        for item, place, content in zip(items, places, contents, strict=True)
    ]
    return files, entries


def name_of(entry: Entry) -> str:
    """An item's name within its run: its file, and the row where it shares one."""
    return entry["file"] if "row" not in entry else f"{entry['file']} row {entry['row']}"


def own_bytes(entry: Entry, content: bytes) -> bytes:
    """The bytes an item's sha256 is of, from those of its file; ValueError if the file does not hold it."""
    return content if "row" not in entry else _row(entry, content).tobytes()


def value_of(entry: Entry, content: bytes) -> np.ndarray:
    """An item from its file's bytes: uint8 [H, W, 3], or float32 [...]."""
    return _row(entry, content) if "row" in entry else np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _row(entry: Entry, content: bytes) -> np.ndarray:
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)[entry["row"]]
    except (EOFError, IndexError, OSError) as error:
        raise ValueError(str(error)) from error


def png(image: np.ndarray) -> bytes:
    """A uint8 image [H, W, 3] as PNG bytes."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()

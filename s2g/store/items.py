"""Items as bytes: an image is a PNG file, a video an mp4 or a film strip, a point a row of its unit's array file.

The sha256 of an item is that of its own bytes. Where a bench extracts features while sampling, an item may instead be a
row of features, a row of an array of images, or no file at all (s2g/store/retention.py).
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from PIL import Image

from s2g.store import video
from s2g.store.retention import Kept

Entry = Mapping[str, Any]  # of a unit's record: item, file, sha256; its row where it shares the file; pixels' sha256
FILES = re.compile(r"(?P<item>\d{6,})\.(png|mp4)|unit-(?P<unit>\d{6,})\.np[yz]")  # the files in items/


@dataclass(frozen=True)
class Film:
    """How videos are stored: one of config.FILMS and frames per second; form is "" where items are not videos."""

    form: str = ""
    fps: int = 0


STILL = Film()


class Content:
    """A file's bytes and the array in them."""

    def __init__(self, content: bytes) -> None:
        self.bytes = content

    @cached_property
    def array(self) -> np.ndarray:
        """The array [B, ...]; ValueError if there is none."""
        try:
            found = np.load(io.BytesIO(self.bytes), allow_pickle=False)
            return found["arr_0"] if isinstance(found, np.lib.npyio.NpzFile) else found
        except (EOFError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(str(error)) from error


def packed(
    unit: int, items: Sequence[int], values: np.ndarray, kept: Kept | None = None, film: Film = STILL
) -> tuple[dict[str, bytes], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return files by name, an entry per item, and entries of what is kept beside the images.

    values: uint8 images [B, H, W, 3], videos [B, F, H, W, 3] or float32 points [B, ...].
    """
    if values.dtype == np.uint8 and values.ndim == 5:
        return *_videos(items, values, film), []
    if kept is None:
        files, entries = _images(items, values) if values.dtype == np.uint8 else _points(unit, items, values)
        return files, entries, []
    files, entries, beside = {}, [], []
    features = ({}, []) if kept.features is None else _points(unit, items, kept.features)
    pixels = [hashlib.sha256(image.tobytes()).hexdigest() for image in values]
    if kept.form == "none":
        entries = [{"item": item, "sha256": own} for item, own in zip(items, pixels, strict=True)]
    elif kept.form == "features":
        files, entries = features
    else:
        files, entries = _images(items, values) if kept.form == "png" else _array(unit, items, values)
        files, beside = files | features[0], features[1]
    return files, [{**entry, "pixels": own} for entry, own in zip(entries, pixels, strict=True)], beside


def _images(items: Sequence[int], values: np.ndarray) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    files = {f"{item:06d}.png": png(image) for item, image in zip(items, values, strict=True)}
    return files, _entries(items, [{"file": name} for name in files], files.values())


def _videos(items: Sequence[int], values: np.ndarray, film: Film) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    encode, end = (video.strip, "png") if film.form == "strip" else (partial(video.encoded, fps=film.fps), "mp4")
    files = {f"{item:06d}.{end}": encode(frames) for item, frames in zip(items, values, strict=True)}
    return files, _entries(items, [{"file": name} for name in files], files.values())


def _points(unit: int, items: Sequence[int], values: np.ndarray) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    points, stream, name = np.ascontiguousarray(values, dtype="<f4"), io.BytesIO(), f"unit-{unit:06d}.npy"
    np.save(stream, points, allow_pickle=False)
    places = [{"file": name, "row": row} for row in range(len(points))]
    return {name: stream.getvalue()}, _entries(items, places, [point.tobytes() for point in points])


def _array(unit: int, items: Sequence[int], values: np.ndarray) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    stream, name = io.BytesIO(), f"unit-{unit:06d}.npz"
    np.savez(stream, values)  # named arr_0, as the ADM evaluator expects
    places = [{"file": name, "row": row} for row in range(len(values))]
    return {name: stream.getvalue()}, _entries(items, places, [image.tobytes() for image in values])


def _entries(items: Sequence[int], places: Sequence[dict[str, Any]], contents: Iterable[bytes]) -> list[dict[str, Any]]:
    return [
        {"item": item, **place, "sha256": hashlib.sha256(content).hexdigest()}
        for item, place, content in zip(items, places, contents, strict=True)
    ]


def name_of(entry: Entry) -> str:
    """Return an item's name within its run: its file, with the row if several share it."""
    if "file" not in entry:
        return f"item {entry['item']}"
    return entry["file"] if "row" not in entry else f"{entry['file']} row {entry['row']}"


def own_bytes(entry: Entry, content: Content) -> bytes:
    """Return the bytes that an item's sha256 covers, from its file; ValueError if the file does not hold the item."""
    return content.bytes if "row" not in entry else _row(entry, content).tobytes()


def value_of(entry: Entry, content: Content) -> np.ndarray:
    """Return an item from its file: an image, uint8 [H, W, 3], a video, uint8 [F, H, W, 3], or float32 [...]."""
    if "row" in entry:
        return _row(entry, content)
    if entry["file"].endswith(".mp4"):
        return video.decoded(content.bytes)
    return video.unrolled(Image.open(io.BytesIO(content.bytes)))


def _row(entry: Entry, content: Content) -> np.ndarray:
    try:
        return content.array[entry["row"]]
    except IndexError as error:
        raise ValueError(str(error)) from error


def png(image: np.ndarray) -> bytes:
    """Return a uint8 image [H, W, 3] as PNG bytes."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()

"""The same noises under several runs: read from the store, kept beside the results, shown on pages and as a picture."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from s2g.config import read
from s2g.engine.atomic import write_json
from s2g.engine.items import png
from s2g.engine.scoring import Score
from s2g.engine.store import Store
from s2g.errors import UserError
from s2g.report.grid import image_grid
from s2g.report.page import Gallery, Item, Method, Shot, data_uri

SCHEMA = 1
SMALL = 64  # pixels a side up to which every pixel is shown as a square of its own
LARGEST = 512  # pixels a side that a page holds of a large image


def gallery_of(scores: Mapping[str, Score], labels: Mapping[str, str], held: str, chosen: range, root: str) -> Gallery:
    """Items `chosen` of every run, with what its bench reads off them; `held` names the run to compare with.

    All runs must have the same prompts and noises; DamageError if an item is not what was written.
    """
    runs = [score.run for score in scores.values()]
    first = runs[0]
    assert all(run.bench.items_id() == first.bench.items_id() and run.seed == first.seed for run in runs)
    shots = {name: _shots(score, Store.of(score.run, root).items(chosen), chosen) for name, score in scores.items()}
    items = [Item(str(i), first.bench.caption(i), [of[at] for of in shots.values()]) for at, i in enumerate(chosen)]
    read_at_all = any(shot.marks for item in items for shot in item.shots)
    side = max(first.model.resolution, 1)
    return Gallery(
        methods=[Method(name, labels[name]) for name in scores],
        items=items,
        held=list(scores).index(held),
        start=next((at for at, item in enumerate(items) if len({bool(shot.wrong) for shot in item.shots}) > 1), 0),
        note=_which(chosen, min(run.num for run in runs))
        + (" A frame with a cross: something else is read off the image than was asked for." if read_at_all else ""),
        legend=("A frame, and the word below it, mark what is read otherwise than it was asked for. " if read_at_all else "")
        + "A click opens the image in the gallery.",
        side=384 if side <= SMALL else LARGEST,
        pixelated=side <= SMALL,
    )


def _shots(score: Score, images: np.ndarray, chosen: range) -> list[Shot]:
    shots = []
    for item, image in zip(chosen, images, strict=True):
        marks, remark = score.run.bench.reading(score.arrays, item)
        shots.append(Shot(image_uri(image), marks, remark))
    return shots


def _which(chosen: range, num: int) -> str:
    if chosen.start:
        return f"Start noises {chosen.start} to {chosen.stop - 1}."
    return f"The first {len(chosen)} of {num} start noises." if num > len(chosen) else f"All {num} start noises."


def image_uri(image: np.ndarray) -> str:
    """A uint8 image [H, W, 3] as an address that is part of the page: to the bit where it is small, else as JPEG."""
    if max(image.shape[:2]) <= 2 * SMALL:
        return data_uri(png(image))
    picture, stream = Image.fromarray(image), io.BytesIO()
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    picture.save(stream, format="JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def picture_of(gallery: Gallery, columns: int = 12) -> Figure:
    """Methods by rows, the first `columns` items by columns; frames where something is read otherwise than asked for."""
    items = gallery.items[:columns]
    rows, wrong = [], []
    for at, method in enumerate(gallery.methods):
        rows.append((method.label, np.stack([_pixels(item.shots[at].src) for item in items])))
        wrong.append(np.array([bool(item.shots[at].wrong) for item in items]))
    return image_grid(rows, [item.caption for item in items], wrong)


def _pixels(src: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(src.partition(",")[2]))).convert("RGB"))


def write_gallery(path: Path, gallery: Gallery) -> None:
    """As JSON, atomically: images are part of it, so that pages can be made without the samples."""
    write_json(path, {"schema": SCHEMA, **asdict(gallery)})


def read_gallery(path: Path) -> Gallery:
    """What `write_gallery` wrote; UserError for what is no gallery of this version."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: cannot be read ({error})", todo="make it again") from error
    if not isinstance(raw, dict) or raw.pop("schema", None) != SCHEMA:
        raise UserError(f"{path}: written by another version of S2G", todo="make it again")
    items = [
        Item(item["name"], item["caption"], [read(Shot, shot, "shot") for shot in item["shots"]]) for item in raw.pop("items")
    ]
    return Gallery(methods=[Method(**method) for method in raw.pop("methods")], items=items, **raw)

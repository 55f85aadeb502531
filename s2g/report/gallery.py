"""The same noises under several runs: read from the store, kept beside the results, shown on pages and as a picture.

Items are images, or videos, which pages play and pictures show as strips of frames.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from s2g.config.schema import read
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.io.atomic import write_json
from s2g.report.grid import image_grid
from s2g.report.html.page import Gallery, Item, Method, Shot
from s2g.report.strips import Block, strip_grid
from s2g.report.videos import LARGEST, SMALL, film_uri, frames_of, image_uri, pixels_of, poster_uri
from s2g.scoring.score import Score
from s2g.store.store import Store

SCHEMA = 2  # 1: before there were videos; what it lacks are defaults, so it is read as it is


def gallery_of(scores: Mapping[str, Score], labels: Mapping[str, str], held: str, chosen: range, root: str) -> Gallery:
    """Items `chosen` of every run, with what its bench reads off them; `held` names the run to compare with.

    All runs must have the same prompts and noises; DamageError if an item is not what was written.
    """
    runs = [score.run for score in scores.values()]
    first = runs[0]
    assert all(run.bench.items_id() == first.bench.items_id() and run.seed == first.seed for run in runs)
    shots = {name: _shots(score, root, chosen) for name, score in scores.items()}
    items = [Item(str(i), first.bench.caption(i), [of[at] for of in shots.values()]) for at, i in enumerate(chosen)]
    read_at_all = any(shot.marks for item in items for shot in item.shots)
    height, width = pixels_of(items[0].shots[0].still).shape[:2]
    made = Gallery(
        methods=[Method(name, labels[name]) for name in scores],
        items=items,
        held=list(scores).index(held),
        start=next((at for at, item in enumerate(items) if len({bool(shot.wrong) for shot in item.shots}) > 1), 0),
        note=_which(chosen, min(run.num for run in runs)),
        legend="",
        side=384 if max(height, width) <= SMALL else LARGEST,
        pixelated=max(height, width) <= SMALL,
        fps=first.model.video_fps if first.model.frames else 0,
        ratio=width / height,
    )
    cross = f" A frame with a cross: something else is read off the {made.what} than was asked for." * read_at_all
    below = "A frame, and the word below it, mark what is read otherwise than it was asked for. " * read_at_all
    return replace(made, note=made.note + cross, legend=f"{below}A click opens the {made.what} in the gallery.")


def _shots(score: Score, root: str, chosen: range) -> list[Shot]:
    run, shots = score.run, []
    store = Store.of(run, root)
    # A video is large: one at a time, where images share what is read of their files.
    found = (_film(run, store, item) for item in chosen) if run.model.frames else map(_image, store.items(chosen))
    for item, (src, poster) in zip(chosen, found, strict=True):
        marks, remark = run.bench.reading(score.arrays, item)
        shots.append(Shot(src, marks, remark, poster))
    return shots


def _image(image: np.ndarray) -> tuple[str, str]:
    return image_uri(image), ""


def _film(run: Run, store: Store, item: int) -> tuple[str, str]:
    (frames,) = store.items([item])
    own = None
    if run.model.film == "mp4":
        entries = store.record(item // run.model.unit)["items"]
        own = store.read_item(next(entry for entry in entries if entry["item"] == item))
    return film_uri(frames, run.model.video_fps, own), poster_uri(frames)


def _which(chosen: range, num: int) -> str:
    if chosen.start:
        return f"Start noises {chosen.start} to {chosen.stop - 1}."
    return f"The first {len(chosen)} of {num} start noises." if num > len(chosen) else f"All {num} start noises."


def picture_of(gallery: Gallery, columns: int = 12) -> Figure:
    """The first `columns` items; frames where something is read otherwise than asked for.

    Images: methods by rows, items by columns. Videos: a block of strips for each item (s2g/report/strips.py).
    """
    items = gallery.items[:columns]
    if gallery.fps:
        blocks = [
            Block(item.caption, [frames_of(shot.src, shot.poster) for shot in item.shots], [bool(s.wrong) for s in item.shots])
            for item in items
        ]
        return strip_grid([method.label for method in gallery.methods], blocks)
    rows, wrong = [], []
    for at, method in enumerate(gallery.methods):
        rows.append((method.label, np.stack([pixels_of(item.shots[at].src) for item in items])))
        wrong.append(np.array([bool(item.shots[at].wrong) for item in items]))
    return image_grid(rows, [item.caption for item in items], wrong)


def write_gallery(path: Path, gallery: Gallery) -> None:
    """As JSON, atomically: images and videos are part of it, so that pages can be made without the samples."""
    write_json(path, {"schema": SCHEMA, **asdict(gallery)})


def read_gallery(path: Path) -> Gallery:
    """What `write_gallery` wrote, now or before there were videos; UserError for what is no gallery."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: cannot be read ({error})", todo="make it again") from error
    if not isinstance(raw, dict) or raw.pop("schema", None) not in range(1, SCHEMA + 1):
        raise UserError(f"{path}: written by another version of S2G", todo="make it again")
    items = [
        Item(item["name"], item["caption"], [read(Shot, shot, "shot") for shot in item["shots"]]) for item in raw.pop("items")
    ]
    return Gallery(methods=[Method(**method) for method in raw.pop("methods")], items=items, **raw)

"""Galleries: the same start noises under several runs, read from the store, kept as JSON, shown on pages and in a figure.

Items are images, or videos, which pages play and figures show as strips of frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2g.config.schema import read
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.io.atomic import write_json
from s2g.io.json_files import load_json
from s2g.report.media import MAX_SIDE, PIXELATED, frames_of, image_uri, pixels_of, poster_uri, video_uri
from s2g.scoring.score import Score
from s2g.store.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = 2  # 1 had no videos; the fields it lacks have defaults


@dataclass(frozen=True)
class Method:
    """A method to choose: `name` goes into links, `label` is shown."""

    name: str
    label: str


@dataclass(frozen=True)
class Shot:
    """One image or video of one method, and what the bench reads off it."""

    src: str  # data URI of an image or an mp4
    marks: Mapping[str, bool] = field(default_factory=dict)  # attribute -> whether it is as prompted
    remark: str = ""
    poster: str = ""  # data URI of a video's middle frame, for where nothing plays

    @property
    def still(self) -> str:
        """Return what an <img> can show."""
        return self.poster or self.src

    @property
    def wrong(self) -> list[str]:
        """Return the attributes that are not as prompted."""
        return [name for name, right in self.marks.items() if not right]


@dataclass(frozen=True)
class Item:
    """One start noise: its prompt in words, and a shot per method in the gallery's order."""

    name: str
    caption: str
    shots: Sequence[Shot]


@dataclass(frozen=True)
class Gallery:
    """The same noises under several methods; `held` indexes the method shown while a key is held."""

    methods: Sequence[Method]
    items: Sequence[Item]
    held: int
    start: int  # index of the item shown first
    note: str  # which items these are
    legend: str  # what a frame means
    side: int = 384  # pixels of the large image's width
    pixelated: bool = False
    fps: int = 0  # of videos; 0: images
    ratio: float = 1.0  # of width to height

    @property
    def what(self) -> str:
        """Return "image" or "video"."""
        return "video" if self.fps else "image"

    def plain(self) -> dict[str, Any]:
        """Return the data that page.js needs."""
        choices = {"methods": [asdict(m) for m in self.methods], "items": [asdict(i) for i in self.items]}
        return {**choices, "held": self.held, "start": self.start, "fps": self.fps}


@dataclass(frozen=True)
class Pictured:
    """A stored run to show, and what was read off its items; no arrays: nothing was."""

    run: Run
    arrays: Mapping[str, np.ndarray]


def gallery_of(
    scores: Mapping[str, Score | Pictured], labels: Mapping[str, str], held: str, chosen: range, root: str
) -> Gallery:
    """Return items `chosen` of every run with what its bench reads off them; `held` names the run to compare with.

    All runs must have the same prompts. Raise DamageError if an item is not what was written.
    """
    runs = [score.run for score in scores.values()]
    first = runs[0]
    assert all(run.bench.items_id() == first.bench.items_id() for run in runs)
    shots = {name: _shots(score, root, chosen) for name, score in scores.items()}
    if (real := first.bench.real_images(chosen)) is not None:  # last, so that no other method's place changes
        shots["real"] = [Shot(image_uri(image)) for image in real]
    items = [Item(str(i), first.bench.caption(i), [row[at] for row in shots.values()]) for at, i in enumerate(chosen)]
    has_marks = any(shot.marks for item in items for shot in item.shots)
    height, width = pixels_of(items[0].shots[0].still).shape[:2]
    pixelated = max(height, width) <= PIXELATED
    what = "video" if first.model.frames else "image"
    # Results hold these words: they stay, so that the same run gives the same file.
    cross = f" A frame with a cross: something else is read off the {what} than was asked for." * has_marks
    below = "A frame, and the word below it, mark what is read otherwise than it was asked for. " * has_marks
    return Gallery(
        methods=[Method(name, labels.get(name, name)) for name in shots],
        items=items,
        held=list(scores).index(held),
        start=next((at for at, item in enumerate(items) if len({bool(shot.wrong) for shot in item.shots}) > 1), 0),
        note=_which(chosen, min(run.num for run in runs)) + cross,
        legend=f"{below}A click opens the {what} in the gallery.",
        side=384 if pixelated else MAX_SIDE,
        pixelated=pixelated,
        fps=first.model.video_fps if first.model.frames else 0,
        ratio=width / height,
    )


def _shots(score: Score | Pictured, root: str, chosen: range) -> list[Shot]:
    run, shots = score.run, []
    for item, (src, poster) in zip(chosen, _media(run, Store.of(run, root), chosen), strict=True):
        marks, remark = run.bench.reading(score.arrays, item) if score.arrays else ({}, "")
        shots.append(Shot(src, marks, remark, poster))
    return shots


def _media(run: Run, store: Store, chosen: range) -> Iterator[tuple[str, str]]:
    """Yield source and poster of each item."""
    if not run.model.frames:
        yield from ((image_uri(image), "") for image in store.items(chosen))
        return
    for item in chosen:  # videos are large: one at a time
        (frames,) = store.items([item])
        stored = None
        if run.model.film == "mp4":
            entries = store.record(item // run.model.unit)["items"]
            stored = store.read_item(next(entry for entry in entries if entry["item"] == item))
        yield video_uri(frames, run.model.video_fps, stored), poster_uri(frames)


def _which(chosen: range, num: int) -> str:
    if chosen.start:
        return f"Start noises {chosen.start} to {chosen.stop - 1}."
    return f"The first {len(chosen)} of {num} start noises." if num > len(chosen) else f"All {num} start noises."


def gallery_figure(gallery: Gallery, columns: int = 12) -> Figure:
    """Return a figure of the first `columns` items, with a frame around what is read otherwise than prompted.

    Images: a row per method, a column per item. Videos: a block of strips per item.
    """
    from s2g.report.grids import Block, image_grid, strip_grid  # matplotlib, which pages do not need

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
    """Write a gallery as JSON with its images and videos, so that pages need no samples."""
    write_json(path, {"schema": SCHEMA, **asdict(gallery)})


def read_gallery(path: Path) -> Gallery:
    """Read a gallery of this or an older schema; UserError if the file is not one."""
    try:
        raw: dict[str, Any] = load_json(path)
    except ValueError as error:
        raise UserError(f"{path}: cannot be read ({error})", todo="make it again") from error
    if not isinstance(raw, dict) or raw.pop("schema", None) not in range(1, SCHEMA + 1):
        raise UserError(f"{path}: written by another version of S2G", todo="make it again")
    items = [
        Item(item["name"], item["caption"], [read(Shot, shot, "shot") for shot in item["shots"]]) for item in raw.pop("items")
    ]
    return Gallery(methods=[Method(**method) for method in raw.pop("methods")], items=items, **raw)

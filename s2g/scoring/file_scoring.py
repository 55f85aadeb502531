"""Benches that judge stored images one by one, from their files: what is there first, then an image at a time.

Judging takes hours, so what is known of an image is kept as it becomes known, under a key that names the image's content:
a stopped scoring goes on, a longer run asks only about what is new, and an image that has changed is asked about again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import PIL.Image

from s2g.engine.bench import Bench
from s2g.errors import DamageError, UserError
from s2g.scoring.scorer import Asked
from s2g.scoring.scoring_pool import asked_here
from s2g.store.items import FILES
from s2g.store.store import Reader, Store

PLACE = "judged"  # beside the samples: a folder for each judge
LISTED = 20  # of what is wrong, named one by one
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # of file managers; never read, so never in the way


@dataclass(frozen=True)
class Image:
    """A stored image that is whole."""

    item: int
    path: Path
    sha256: str  # of the file's bytes

    def pixels(self) -> np.ndarray:
        """uint8 [H, W, 3], whatever the file's mode: transparency is dropped, as PIL's RGB does."""
        return read_pixels(self.path)


def read_pixels(path: Path) -> np.ndarray:
    """uint8 [H, W, 3], whatever the file's mode: transparency is dropped, as PIL's RGB does."""
    with PIL.Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def filled(num: int, images: Sequence[Image], values: Sequence[float]) -> np.ndarray:
    """Values of images as an array [num] of items, nan for those that lack."""
    found = np.full(num, np.nan)
    found[[image.item for image in images]] = values
    return found


class Judging(Bench, Protocol):
    """A bench that reads image files one by one."""

    @property
    def allow_missing(self) -> bool:
        """Whether images may be lacking; the score is then labelled."""
        ...

    def judge(self, images: Sequence[Image], num: int, place: Path, asked: Asked = asked_here) -> dict[str, np.ndarray]:
        """Per-item arrays [num, ...], nan for what is not among `images`; what becomes known is kept below `place`.

        asked: who puts questions to scorers and keeps what they say.
        """
        ...

    def remarks(self, num: int, arrays: Mapping[str, np.ndarray] | None = None) -> list[str]:
        """What must be said beside a score of the first `num` items: above all, why it is not comparable."""
        ...


def judging(bench: Any) -> Judging | None:
    """The bench as one that judges files, None if it is none."""
    return cast(Judging, bench) if hasattr(bench, "judge") else None


@dataclass(frozen=True)
class Looked:
    """What a look at images found."""

    images: list[Image]
    missing: list[str]
    unreadable: list[str]
    extra: list[str]

    @property
    def whole(self) -> bool:
        """Whether it is all that is wanted and nothing else."""
        return not (self.missing or self.unreadable or self.extra)

    def told(self) -> str:
        """What is wrong, in words: counts and names."""
        kinds = {"missing": self.missing, "unreadable": self.unreadable, "not among them": self.extra}
        return "\n".join(f"  {len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names)

    def check(self, where: str, num: int, allow_missing: bool, todo: str) -> list[Image]:
        """The images; UserError with the list if they are not all, and that is not allowed, or if there are none."""
        if self.images and (self.whole or allow_missing):
            return self.images
        raise UserError(
            f"{where}: {len(self.images):,} of {num:,} images can be scored\n{self.told()}",
            todo=todo if self.images else "make them first: the run's command",
        )


def look(store: Store, num: int) -> Looked:
    """Every file of the run's first `num` items read once and held against its sha256; and what else lies beside them."""
    size = store.read_run()["identity"]["model"]["unit"]
    images: list[Image] = []
    missing, unreadable = [], []
    reader = Reader(store)
    for unit in range(-(-num // size)):
        items = range(unit * size, min((unit + 1) * size, num))
        try:
            entries = {entry["item"]: entry for entry in store.record(unit)["items"]}
        except DamageError as error:
            gone = not store.record_path(unit).exists()
            (missing if gone else unreadable).extend(
                f"item {item}" if gone else f"item {item} (its record {error.problem})" for item in items
            )
            continue
        for item in items:
            entry = entries[item]
            path = store.folder / "items" / entry.get("file", "")
            if not path.is_file():
                missing.append(f"items/{entry.get('file', f'item {item}, not kept')}")
                continue
            try:
                reader.whole(entry)
                images.append(Image(item, path, entry["sha256"]))
            except DamageError as error:
                unreadable.append(f"items/{path.name} ({error.problem})")
    return Looked(images, missing, unreadable, _extra(store, num, size))


def _extra(store: Store, num: int, size: int) -> list[str]:
    """Files among the items that no item of the run can have, or that are beyond `num` and of no unit."""
    folder = store.folder / "items"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [f"items/{name}" for name in names if not is_litter(name) and not _belongs(store, name, num, size)]


def _belongs(store: Store, name: str, num: int, size: int) -> bool:
    """Whether a file can be an item's: of the first `num`, of a unit that is stored, or of one that is being made."""
    found = FILES.fullmatch(name)
    if found is None:
        return False
    unit = int(found["unit"]) if found["unit"] else int(found["item"]) // size
    at_work = (store.folder / "locks" / f"{unit:06d}").exists()  # a unit's files come before its record
    return unit * size < num or store.has(unit) or at_work


def is_litter(name: str) -> bool:
    """Whether a file manager wrote it."""
    return name in LITTER or name.startswith("._")


def todo_of(store: Store) -> str:
    """What to do about images that are not all there."""
    return (
        f"s2g verify {store.shown()} --repair makes them anew, what does not belong there is to be moved away; "
        "or bench.allow_missing=true (s2g score RUN --allow-missing) scores those that are there, labelled"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more

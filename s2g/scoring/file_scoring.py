"""Benches that score stored files one by one: the files are checked first, then scored.

Scoring takes hours, so each value is cached as soon as it is known, under a key that names the image's content: an
interrupted scoring resumes, a longer run scores only new images, and a changed image is scored again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.engine.bench import Bench
from s2g.errors import DamageError, UserError, gathered
from s2g.io.input_files import is_litter
from s2g.scoring.scorer import Answer
from s2g.scoring.scoring_pool import answer_here
from s2g.store.items import FILES
from s2g.store.store import Reader, Store

PLACE = "judged"  # folder of cached values beside the samples, one below it per scorer
LISTED = 20  # problems of one kind that are listed by name


@dataclass(frozen=True)
class Image:
    """A stored image that is not damaged."""

    item: int
    path: Path
    sha256: str  # of the file's bytes


def filled(num: int, images: Sequence[Image], values: Sequence[float]) -> np.ndarray:
    """Return the values of images as an array [num] over items, nan where an image is missing."""
    found = np.full(num, np.nan)
    found[[image.item for image in images]] = values
    return found


class FileBench(Bench):
    """A bench that scores stored files one by one."""

    kind: ClassVar[str] = "images"  # what the files are: "images" or "videos"
    layout: ClassVar[str] = ""  # how `s2g export` names the files for the official evaluator

    allow_missing: bool  # score the files that exist; the score is then labelled as partial

    @abstractmethod
    def judge(self, images: Sequence[Image], num: int, place: Path, answer: Answer = answer_here) -> dict[str, np.ndarray]:
        """Return per-item arrays [num, ...], nan for items without a file; answers are cached below `place`.

        answer: puts questions to scorers and caches their answers.
        """

    @abstractmethod
    def official_name(self, item: int) -> str:
        """Return the path of an item's file in the official evaluator's layout."""

    @abstractmethod
    def needs(self) -> list[Callable[[], object]]:
        """Return checks of every file and environment that scoring needs; each raises UserError if it is missing."""

    def exported(self) -> dict[int, str]:
        """Return official names by item, without items that share another item's file."""
        return {item: self.official_name(item) for item in range(self.num)}

    def one_image_each(self, folder: Path) -> Path:
        """Return a folder of one file per item: `folder`, or one in the cache where the layout packs several into a file."""
        return folder

    def lacking(self) -> list[UserError]:
        """Return an error for everything that scoring needs and that is missing."""
        errors: list[UserError] = []
        for need in self.needs():
            with gathered(errors):
                need()
        return errors

    def placed(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        paths = {key: Path(getattr(self, key)).expanduser() for key in self.files if getattr(self, key)}
        return {**typed, **{key: str(path.absolute()) for key, path in paths.items() if path.exists()}}


@dataclass(frozen=True)
class FileCheck:
    """Files of a bench, sorted into those that can be scored and what is wrong with the others."""

    images: list[Image]
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)  # videos of another size or number of frames
    kind: str = "images"

    @property
    def complete(self) -> bool:
        """Whether every expected file can be scored and there is no other."""
        return not (self.missing or self.unreadable or self.extra or self.other)

    def problems(self) -> str:
        """Return a line of count and names for each kind of problem."""
        kinds = {"missing": self.missing, "unreadable": self.unreadable, "unexpected": self.extra}
        kinds["of another size"] = self.other
        return "\n".join(f"  {len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names)

    def check(self, where: str, num: int, allow_missing: bool, todo: str) -> list[Image]:
        """Return the files that can be scored; UserError with every problem if any is not allowed, or if there is no file."""
        if self.images and (self.complete or allow_missing):
            return self.images
        make = "sample them first: the run's command"
        raise UserError(
            f"{where}: {len(self.images):,} of {num:,} {self.kind} can be scored\n{self.problems()}",
            todo=todo if self.images or self.kind == "videos" else make,
        )


def look(store: Store, num: int) -> FileCheck:
    """Verify each file of the run's first `num` items; return the sound ones and all problems, unexpected files included."""
    size = store.read_run()["identity"]["model"]["unit"]
    images: list[Image] = []
    missing, unreadable = [], []
    reader = Reader(store.folder)
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
                reader.verified(entry)
                images.append(Image(item, path, entry["sha256"]))
            except DamageError as error:
                unreadable.append(f"items/{path.name} ({error.problem})")
    return FileCheck(images, missing, unreadable, _extra(store, num, size))


def _extra(store: Store, num: int, size: int) -> list[str]:
    """Return files in items/ that belong to no item of the run, or to an item beyond `num` whose unit is not stored."""
    folder = store.folder / "items"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [f"items/{name}" for name in names if not is_litter(name) and not _belongs(store, name, num, size)]


def _belongs(store: Store, name: str, num: int, size: int) -> bool:
    """Return whether a file may be an item: one of the first `num`, or of a unit that is stored or being sampled."""
    found = FILES.fullmatch(name)
    if found is None:
        return False
    unit = int(found["unit"]) if found["unit"] else int(found["item"]) // size
    at_work = (store.folder / "locks" / f"{unit:06d}").exists()  # a unit's files are written before its record
    return unit * size < num or store.has(unit) or at_work


def repair_todo(store: Store) -> str:
    """Return how to complete a run's images."""
    return f"s2g verify {store.display_path()} --repair samples them again; move unexpected files away"


def todo_of(store: Store) -> str:
    """Return how to complete a run's images, or score them incomplete."""
    allow = "bench.allow_missing=true (s2g score RUN --allow-missing) scores the files that exist, labelled as partial"
    return f"{repair_todo(store)}; or {allow}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more

"""bench=folder: images of any model against any folder of reference images (docs/distances.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from s2g.benchmarks.distances.bench import DistanceBench
from s2g.benchmarks.distances.images import RESIZE
from s2g.benchmarks.distances.reference import KEY, Reference
from s2g.benchmarks.prompts.bench import Prompts
from s2g.config.coerce import at_least
from s2g.config.schema import ModelConfig
from s2g.engine.bench import Arrays
from s2g.errors import MissingError, UserError
from s2g.store.retention import IMAGES

SCORE = ("fid", "kid", "precision", "recall")


@dataclass(frozen=True)
class Folder(DistanceBench):
    """Items of a model of classes are of each class in turn; of one that reads words, bench.path's prompts in turn."""

    num: int = 10_000
    keep: str | None = "png"
    score: tuple[str, ...] = SCORE
    side: int | None = None  # None: samples and reference have one size
    path: str | None = None
    text: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = ()
    classes: int | None = None  # of the model; set by `fitted`

    name: ClassVar[str] = "folder"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side is not None:
            at_least(self.side, 1, "bench.side")
        _ = self._words  # refuses a prompt file that cannot be read

    @cached_property
    def _words(self) -> Prompts | None:
        return Prompts(path=self.path, text=self.text, seeds=self.seeds) if self.path or self.text is not None else None

    @property
    def image_side(self) -> int | None:
        return self.side

    @property
    def fits(self) -> bool:
        return self.side is not None

    @property
    def cycle(self) -> int:
        return self._words.cycle if self._words else self.classes or 0

    def fitted(self, model: ModelConfig) -> Folder:
        """Return the bench with the model's number of classes; random weights are kept as images."""
        classes = None if model.reads_text else model.network.get("num_classes")
        return replace(self, classes=classes, keep="png" if self.keep is None and model.random else self.keep)

    def check(self, model: ModelConfig) -> None:
        if model.makes_videos or model.traits.points:
            makes = "videos" if model.makes_videos else "points"
            raise UserError(f"bench = folder: {model.name} makes {makes}", allowed="models that make images")
        if model.reads_text and self._words is None:
            todo = "bench.path=FILE of prompts, such as the reference's captions"
            raise UserError(f"bench = folder: {model.name} reads prompts in words, and none are given", todo=todo)
        if not model.reads_text and self._words is not None:
            which = "path" if self.path else "text"
            raise UserError(f"bench.{which}: {model.name} takes classes: it would not be read", todo=f"leave out bench.{which}")
        if self._words is not None:
            model.check_prompts(self._words.listed)
        elif not self.classes:
            raise UserError(f"bench = folder: {model.name} states no number of classes", todo="model.network.num_classes=N")
        if not (model.random and self.keep in IMAGES):  # that a network runs can be seen without them; scoring asks then
            self.check_files()
        if self.compares and self.side is None and self.referred.path.exists():
            same_size((model.resolution, model.resolution), f"{model.name} makes images", self.referred)

    def check_reference(self) -> None:
        if not self.reference:
            raise MissingError(
                KEY, "", "no reference", kind="folder", allowed="a folder or .tar of images", todo=f"{KEY}=FOLDER"
            )
        reference = self.referred
        if reference.path.exists() and not reference.of_images:
            raise UserError(f"{KEY} = {self.reference}: is a file", allowed="a folder or .tar of images")
        super().check_reference()
        reference.images.check()

    def make_reference(self) -> Reference:
        return Reference(self.reference, self.side, self.fits)

    def placed(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bench as typed, with its prompts instead of the file, which may change."""
        placed = {**super().placed(typed), "classes": self.classes}
        return (
            placed
            if self._words is None
            else {**placed, **{key: self._words.placed({})[key] for key in ("path", "text", "seeds")}}
        )

    def version(self) -> dict[str, Any]:
        return {**super().version(), "side": self.side}

    def items_id(self) -> Any:
        return self._words.items_id() if self._words else {"labels": f"index mod {self.classes}"}

    def prompts(self, items: Sequence[int]) -> list[Any]:
        return self._words.prompts(items) if self._words else [item % self._classes for item in items]

    def streams(self, items: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        return self._words.streams(items) if self._words else {}

    def caption(self, item: int) -> str:
        return self._words.caption(item) if self._words else f"class {item % self._classes}"

    @property
    def _classes(self) -> int:
        assert self.classes is not None  # `check` has refused a model without
        return self.classes

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        found = super().remarks(num, arrays)
        if self.compares:
            size = f"; the middle square of each image, resized to {self.side}" if self.fits else ""
            against = f"{num:,} images against {self.referred.count:,} of {self.reference}{size}"
            found.append(f"{against}: compare only with scores of as many images and the same reference")
        return found


def same_size(size: tuple[int, int], what: str, reference: Reference) -> None:
    """Raise UserError unless the reference's images have the size: a distance would be of the resizing."""
    if (other := reference.images.check()) != size:
        raise UserError(
            f"{what} of {size[0]} x {size[1]}, and {KEY} = {reference.place} has images of {other[0]} x {other[1]}",
            allowed="one size on both sides",
            todo=RESIZE,
        )

"""Images of one's own: a folder, with folders inside, or a tar; in the order of their names, as s2g/io/images.py reads them."""

from __future__ import annotations

import errno
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from s2g.benchmarks.distances.resize import center_square
from s2g.errors import UserError
from s2g.io.hashing import remembered_hash, state_of
from s2g.io.images import rgb
from s2g.io.input_files import LARGEST, is_litter, read_regular

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
UNREADABLE = (OSError, EOFError, tarfile.TarError, zlib.error)
SHOWN = 5  # names of bad images that one message lists
RESIZE = "bench.side=N crops the middle square of every image of both sides and resizes it to N"


@dataclass(frozen=True)
class Images:
    """The images of a folder or tar."""

    path: Path
    side: int | None  # of each image, in pixels; None: any one size
    key: str  # under which a user typed the path
    names: tuple[str, ...]
    state: tuple[Any, ...]  # changes with any image: sizes and times of the files, or of the tar
    fit: bool = False  # images of other sizes are cropped and resized to `side` instead of refused
    others: int = 0  # files that are not read: of another kind, or hidden

    @staticmethod
    def of(path: Path, side: int | None, key: str, fit: bool = False) -> Images:
        """List the images; UserError naming `key` if there are fewer than two."""
        try:
            if path.is_dir():
                files = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
                states = {name: state_of(file.stat()) for name, file in files.items()}
            else:
                with tarfile.open(path) as archive:
                    states = {member.name: [] for member in archive if member.isfile()}
            whole = state_of(path.stat())
        except UNREADABLE as error:
            raise UserError(f"{key} = {path}: cannot be read ({error})", allowed="a folder or .tar of images") from error
        names = sorted(name for name in states if name.lower().endswith(ENDINGS) and not _hidden(name))
        if len(names) < 2:
            raise UserError(f"{key} = {path}: holds {len(names)} images", allowed=f"two or more, {', '.join(ENDINGS)}")
        state = [[name, *states[name]] for name in names] if path.is_dir() else whole
        others = sum(not is_litter(PurePosixPath(name).name) for name in set(states) - set(names))
        return Images(path, side, key, tuple(names), tuple(state), fit, others)

    def __len__(self) -> int:
        return len(self.names)

    def identity(self) -> str:
        """Return a sha256 of names and contents; all are read once, and again only if a size or time has changed."""

        def digest() -> str:
            lines = (f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in self._contents())
            return hashlib.sha256("\n".join(lines).encode()).hexdigest()

        state = hashlib.sha256(repr(self.state).encode()).hexdigest()
        return remembered_hash(f"images of {self.path.resolve()}", [state], digest)

    def check(self) -> tuple[int, int]:
        """Decode every image and return width and height of what is read; UserError lists all that cannot be used.

        Done once for the same files: a damaged image is named before a network has read the others for an hour.
        """

        def sizes() -> str:
            bad: list[str] = []
            first: tuple[str, tuple[int, ...]] | None = None
            for name, content in self._contents():
                try:
                    pixels = self._pixels(name, content)
                except UserError as error:
                    bad.append(str(error).splitlines()[0].removeprefix(f"{self.key} = {self.path}: "))
                    continue
                if first is None:
                    first = name, pixels.shape
                elif pixels.shape != first[1]:
                    bad.append(_other_size(name, pixels, *first))
            if bad:
                more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
                which = f"{len(bad)} of {len(self)} images cannot be used: {'; '.join(bad[:SHOWN])}{more}"
                raise UserError(
                    f"{self.key} = {self.path}: {which}",
                    allowed="images that can be read, all of one size" if self.side is None else "images that can be read",
                    todo=f"mend or remove them{'' if self.fit else f'; {RESIZE}'}",
                )
            assert first is not None
            return f"{first[1][1]} {first[1][0]}"

        state = [hashlib.sha256(repr(self.state).encode()).hexdigest(), self.side, self.fit]
        width, height = remembered_hash(f"sizes of {self.path.resolve()}", state, sizes).split()
        return int(width), int(height)

    def chunks(self, size: int) -> Iterator[np.ndarray]:
        """Yield uint8 [n, H, W, 3] by name, `size` at a time; UserError names an image of another size."""
        held: list[np.ndarray] = []
        first: tuple[str, tuple[int, ...]] | None = None
        for name, content in self._contents():
            held.append(self._pixels(name, content))
            first = first or (name, held[-1].shape)
            if held[-1].shape != first[1]:
                raise UserError(f"{self.key} = {self.path}: {_other_size(name, held[-1], *first)}", todo=RESIZE)
            if len(held) == size:
                yield np.stack(held)
                held = []
        if held:
            yield np.stack(held)

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        try:
            yield from self._files()
        except UNREADABLE as error:
            raise UserError(f"{self.key} = {self.path}: cannot be read to its end ({error})", todo="copy it again") from error

    def _files(self) -> Iterator[tuple[str, bytes]]:
        if self.path.is_dir():
            for name in self.names:
                yield name, read_regular(self.path / name)
            return
        with tarfile.open(self.path) as archive:
            for name in self.names:
                stream = archive.extractfile(name)
                assert stream is not None
                content = stream.read(LARGEST + 1)
                if len(content) > LARGEST:
                    raise OSError(errno.EFBIG, f"larger than {LARGEST // 2**20} MiB", name)
                yield name, content

    def _pixels(self, name: str, content: bytes) -> np.ndarray:
        try:
            pixels = rgb(content)
        except ValueError as error:
            raise UserError(f"{self.key} = {self.path}: {name}: {error}") from error
        if self.fit and self.side is not None:
            return center_square(pixels, self.side)
        if self.side is not None and pixels.shape[:2] != (self.side, self.side):
            raise UserError(
                f"{self.key} = {self.path}: {name} is {pixels.shape[1]} x {pixels.shape[0]}",
                allowed=f"{self.side} x {self.side}: crop and resize them first, as ADM does (center crop, box then bicubic)",
            )
        return pixels


def _hidden(name: str) -> bool:
    """Return whether a file is one that a program keeps for itself, such as .ipynb_checkpoints/a.png, or litter."""
    parts = PurePosixPath(name).parts
    return is_litter(parts[-1]) or any(part.startswith(".") and part != ".." for part in parts)


def _other_size(name: str, pixels: np.ndarray, first: str, shape: tuple[int, ...]) -> str:
    return f"{name} is {pixels.shape[1]} x {pixels.shape[0]}, {first} is {shape[1]} x {shape[0]}"

"""Reference images of one's own: a folder, with folders inside, or a tar; in the order of their names."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from s2g.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class Images:
    """Names and sizes in bytes of the images of a folder or tar; `side` pixels each, nothing is cropped or resized here."""

    path: Path
    side: int
    key: str  # under which a user typed the place
    listed: tuple[tuple[str, int], ...]

    @staticmethod
    @cache
    def of(path: Path, side: int, key: str) -> Images:
        """What is there; UserError naming `key` if that is fewer than two images."""
        try:
            if path.is_dir():
                found = [(str(file.relative_to(path)), file.stat().st_size) for file in path.rglob("*") if file.is_file()]
            else:
                with tarfile.open(path) as archive:
                    found = [(member.name, member.size) for member in archive if member.isfile()]
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise UserError(f"{key} = {path}: cannot be read ({error})", allowed="a folder or .tar of images") from error
        listed = sorted(about for about in found if about[0].lower().endswith(ENDINGS))
        if len(listed) < 2:
            raise UserError(f"{key} = {path}: holds {len(listed)} images", allowed=f"two or more, {', '.join(ENDINGS)}")
        return Images(path, side, key, tuple(listed))

    def __len__(self) -> int:
        return len(self.listed)

    def identity(self) -> str:
        """sha256 of names and sizes: the content of a million files would take hours each time."""
        return hashlib.sha256("\n".join(f"{name} {size}" for name, size in self.listed).encode()).hexdigest()

    def chunks(self, size: int) -> Iterator[np.ndarray]:
        """uint8 [n, side, side, 3] by name, `size` at a time; UserError names an image of another size."""
        held: list[np.ndarray] = []
        for name, content in self._contents():
            held.append(self._pixels(name, content))
            if len(held) == size:
                yield np.stack(held)
                held = []
        if held:
            yield np.stack(held)

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        try:
            yield from self._files()
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise UserError(f"{self.key} = {self.path}: cannot be read to its end ({error})", todo="copy it again") from error

    def _files(self) -> Iterator[tuple[str, bytes]]:
        if self.path.is_dir():
            for name, _ in self.listed:
                yield name, (self.path / name).read_bytes()
            return
        with tarfile.open(self.path) as archive:
            for name, _ in self.listed:
                stream = archive.extractfile(name)
                assert stream is not None
                yield name, stream.read()

    def _pixels(self, name: str, content: bytes) -> np.ndarray:
        try:
            pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:  # Pillow's words for damage
            raise UserError(f"{self.key} = {self.path}: {name} is no image ({error})") from error
        if pixels.shape[:2] != (self.side, self.side):
            raise UserError(
                f"{self.key} = {self.path}: {name} is {pixels.shape[1]} x {pixels.shape[0]}",
                allowed=f"{self.side} x {self.side}: crop and resize them first, as ADM does (center crop, box then bicubic)",
            )
        return pixels

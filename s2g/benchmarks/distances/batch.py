"""A batch of images as the ADM evaluator has it: an npz whose arr_0 is uint8 [N, H, W, 3]; read and written in parts.

50,000 images of 256 x 256 are 9.8 GB: neither side holds them all. Compressed files are read as well.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from s2g.errors import UserError

MEMBER = "arr_0.npy"
# What a file raises that is not what was written: cut short, bits that changed, a way of packing that zipfile does not know.
BROKEN = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Batch:
    """A file and the shape of its images."""

    path: Path
    shape: tuple[int, int, int, int]  # N, H, W, 3

    @staticmethod
    def of(path: Path, key: str) -> Batch:
        """Read the header of a file's batch; UserError naming `key` if there is none."""
        if not path.is_file():  # a pipe would block
            raise UserError(f"{key} = {path}: no such file", allowed="an npz with arr_0, uint8 [N, H, W, 3]")
        try:
            with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as stream:
                shape, fortran, dtype = header(stream)
        except (KeyError, *BROKEN) as error:
            raise UserError(
                f"{key} = {path}: holds no batch of images ({error})", allowed="an npz with arr_0, uint8 [N, H, W, 3]"
            ) from error
        if dtype != np.uint8 or fortran or len(shape) != 4 or shape[3] != 3:
            raise UserError(f"{key} = {path}: arr_0 is {dtype} {list(shape)}", allowed="uint8 [N, H, W, 3]")
        return Batch(path, shape)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self.shape[0]

    def chunks(self, size: int) -> Iterator[np.ndarray]:
        """Yield uint8 [n, H, W, 3] in order, `size` at a time; UserError if the file ends early."""
        item = self.shape[1] * self.shape[2] * 3
        with zipfile.ZipFile(self.path) as archive, archive.open(MEMBER) as stream:
            header(stream)
            for start in range(0, len(self), size):
                count = min(size, len(self) - start)
                try:
                    content = stream.read(count * item)
                except BROKEN as error:
                    what = f"{self.path}: is damaged near image {start} ({error})"
                    raise UserError(what, todo="copy or fetch it again") from error
                if len(content) != count * item:
                    raise UserError(f"{self.path}: ends in image {start + len(content) // item}", todo="copy or fetch it again")
                yield np.frombuffer(content, np.uint8).reshape(count, *self.shape[1:])


def write_batch(path: Path, num: int, chunks: Iterable[np.ndarray]) -> None:
    """Write `num` images, uint8 [n, H, W, 3] at a time, as arr_0 of an npz that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with (
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
            archive.open(MEMBER, "w", force_zip64=True) as stream,
        ):
            count = 0
            for chunk in chunks:
                if not count:
                    header = {"descr": "|u1", "fortran_order": False, "shape": (num, *chunk.shape[1:])}
                    np.lib.format.write_array_header_1_0(stream, header)
                stream.write(np.ascontiguousarray(chunk, np.uint8).tobytes())
                count += len(chunk)
            if count != num:
                raise ValueError(f"{count} images for a batch of {num}")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, Fortran order and dtype of the array that begins here; ValueError if none does."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)

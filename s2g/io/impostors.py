"""Files that only bear the name of a weights file: git-lfs pointers, HTML pages, empty and truncated ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2g.io.json_files import parse

LFS = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype html", b"<html")
POINTER, PAGE, EMPTY = "is a git-lfs pointer, not the file itself", "is an HTML page, not the file itself", "is empty"


def impostor(path: Path) -> str:
    """Say what a file is instead of its content: POINTER, PAGE or EMPTY; "" for anything else."""
    with path.open("rb") as stream:
        head = stream.read(200)
    if not head:
        return EMPTY
    if head.startswith(LFS):
        return POINTER
    return PAGE if head.lstrip().lower().startswith(PAGES) else ""


def advice(what: str, folder: Path) -> str:
    """Return what to do about an impostor in `folder`."""
    if what == POINTER:
        return f"git -C {folder} lfs pull"
    if what == PAGE:
        return "download the file itself: on the hub its address has /resolve/ where the page has /blob/"
    return "download it again"


def tensor_names(path: Path) -> set[str]:
    """Read the names in a safetensors file's header; ValueError for another file, or one that is cut off."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError("not a safetensors file, or cut off in its header")
        try:
            header: Mapping[str, Any] = parse(stream.read(length))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise ValueError("not a safetensors file") from error
    if size < 8 + length + end:
        raise ValueError(f"cut off: {size:,} of {8 + length + end:,} bytes")
    return set(tensors)

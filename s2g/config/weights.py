"""Parse and find weights as users type them: a file, a folder, a repository of the hub, or random."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from s2g.errors import MissingError, UserError
from s2g.io import hub
from s2g.io.hashing import content_hash
from s2g.io.impostors import advice, impostor

LONGEST = 255  # bytes in the name of a file or folder
RANDOM = re.compile(r"random(?::(\d{1,18}))?")  # "random" is seed 0
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+(@[\w./-]+)?")  # of the hub, at its main branch or at a revision
DECODER_FILES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")  # what diffusers looks for, in its order


def typed_path(typed: str, key: str) -> Path:
    """Return the path that was typed; UserError for one that no file system has."""
    if "\0" in typed:
        raise UserError(f"{key} = {typed[:60]!r}: a path cannot hold a NUL character", todo=f"{key}=PATH")
    if longest := max((part for part in Path(typed).parts if len(part.encode()) > LONGEST), key=len, default=""):
        raise UserError(
            f"{key} = {typed[:60]}...: a name of {len(longest.encode())} bytes", allowed=f"up to {LONGEST}", todo=f"{key}=PATH"
        )
    return Path(typed).expanduser()


def random_seed(typed: str) -> int | None:
    """Return the seed of "random" or "random:SEED"; None for anything else."""
    match = RANDOM.fullmatch(typed)
    return None if match is None else int(match[1] or 0)


def decoder_folder(typed: str, key: str) -> Path:
    """Return the folder of a decoder in diffusers' layout: `typed` itself, or that repository in the hub's cache.

    Nothing is downloaded; the UserError says how to.
    """
    folder, repository = typed_path(typed, key), REPOSITORY.fullmatch(typed) is not None
    cached = None if folder.is_dir() or not repository else hub.snapshot(typed)
    folder = cached or folder
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in DECODER_FILES):
        missing.append(DECODER_FILES[0])
    if missing:
        where = f"in {folder}" if folder.is_dir() or not repository else "in the cache of the hub"
        raise MissingError(
            key,
            typed,
            f"no file {missing[0]} {where}",
            allowed="a folder with config.json and weights in diffusers' layout, a repository of the hub, random, none",
            todo=hub.download_command(typed)
            if repository and not folder.is_dir()
            else f"give the folder of an AutoencoderKL: {key}=FOLDER",
        )
    for name in ("config.json", *DECODER_FILES):
        if (folder / name).is_file() and (what := impostor(folder / name)):
            raise UserError(f"{key} = {typed}: {name} {what}, in {folder}", todo=advice(what, folder))
    return folder


def decoder_sha256(folder: Path) -> str:
    """Return a hash of a decoder's config.json and weights."""
    weights = next(folder / name for name in DECODER_FILES if (folder / name).is_file())
    hashes = "".join(content_hash(path) for path in (folder / "config.json", weights))
    return hashlib.sha256(hashes.encode()).hexdigest()


def folder_of(typed: str) -> Path | None:
    """Return a folder, or that repository in the hub's cache; None if there is neither. Nothing is downloaded."""
    folder = Path(typed).expanduser()
    if folder.is_dir():
        return folder
    return hub.snapshot(typed) if REPOSITORY.fullmatch(typed) else None

"""Folders of scorers' models as transformers writes them: found, known to be whole, and hashed. Nothing is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from s2g.config.weights import folder_of
from s2g.errors import MissingError, UserError
from s2g.io.hashing import content_hash
from s2g.io.input_files import is_litter
from s2g.io.json_files import load_json

# In the order in which transformers looks for them; the index of a model in parts names its parts.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
ENDINGS = (".bin", ".safetensors", ".json", ".py", ".model", ".jinja")  # of files that may determine what a model answers


def transformers_folder(typed: str, key: str, official: str, beside: Sequence[str], todo: str) -> Path:
    """Return a model's folder, `typed` or in the hub's cache, with its weights whole; UserError if there is none.

    key: under which it was typed; official: its repository; beside: files that are read besides; todo: how to get it.
    """
    folder = folder_of(typed)
    if folder is None or not (folder / "config.json").is_file():
        raise MissingError(key, typed, "no folder with its config.json here, nor in the cache of the hub", todo=todo)
    if lacking := _lacking(folder, key, official, beside):  # a download that was stopped: found now, not after hours of images
        shown = f"{', '.join(lacking[:3])}{f' and {len(lacking) - 3} more' if len(lacking) > 3 else ''}"
        raise MissingError(key, typed, f"no file {shown} in {folder}", todo=todo)
    return folder


def _lacking(folder: Path, key: str, official: str, beside: Sequence[str]) -> list[str]:
    """List files without which the folder is no model with its tokenizer, above all every shard that its index names."""
    index = next((folder / name for name in WEIGHTS if (folder / name).is_file()), folder / WEIGHTS[-1])
    shards: set[str] = set()
    if index.suffix == ".json" and index.is_file():
        try:
            shards = set(load_json(index)["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{key}: {index} is no index of shards", todo=f"delete it, then hf download {official}") from error
    return [name for name in (*beside, index.name, *sorted(shards)) if not (folder / name).is_file()]


def files_digest(folder: Path) -> str:
    """Return 12 hex digits of the names and contents of every file that may determine what the model answers."""
    files = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and not is_litter(path.name))
    return hashlib.sha256("".join(f"{path.name} {content_hash(path)}" for path in files).encode()).hexdigest()[:12]

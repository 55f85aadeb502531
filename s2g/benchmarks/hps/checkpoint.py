"""The checkpoint of HPSv2.1: where it is, whether it is that one, whether it fits the network."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from s2g.benchmarks.hps import published
from s2g.errors import MissingError, UserError
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.io.json_files import load_json

KEY = "bench.weights"
ARCHITECTURE = "ViT-H-14"
FETCH = f"s2g fetch hps (about 4 GB), or hf download {published.REPOSITORY} {published.V21}, or {KEY}=FILE"


def file_of(typed: str) -> Path:
    """Return the checkpoint's path, typed or in the hub's cache; UserError if there is none."""
    path = Path(typed).expanduser()
    if path.is_file():
        return path
    if path.name == typed:  # a bare name: the hub's
        from huggingface_hub import try_to_load_from_cache

        held = try_to_load_from_cache(published.REPOSITORY, typed)
        if isinstance(held, str):
            return Path(held)
    raise MissingError(
        KEY, typed, f"no file {path}", allowed=f"{published.V21} of {published.REPOSITORY} on the hub", todo=FETCH
    )


def check_version(typed: str) -> None:
    """Raise UserError for version 2.0 under any name, and for another file under 2.1's.

    Both have the same keys and shapes, and scores that overlap: only name and sha256 tell them apart.
    """
    file = file_of(typed)
    old = f"{KEY} = {typed}: that is the checkpoint of HPS v2.0"
    if file.name == published.V20:
        raise UserError(old, allowed=f"{published.V21}; scores of 2.0 and 2.1 are not comparable", todo=FETCH)
    weights = published.recorded()["weights"]
    found = content_hash(file)
    if found == weights.get(published.V20):
        raise UserError(
            f"{old}, under the name {file.name} (sha256 {found[:12]})",
            allowed=f"{published.V21}; scores of 2.0 and 2.1 are not comparable",
            todo=FETCH,
        )
    if file.name == published.V21 and weights.get(published.V21, found) != found:
        raise UserError(
            f"{KEY} = {typed}: it is not the file of that name on the hub (sha256 {found[:12]}, "
            f"recorded {weights[published.V21][:12]})",
            todo=f"delete it, then {FETCH}; a checkpoint of one's own needs a name of its own",
        )


def official(typed: str) -> bool:
    """Return whether it is known to be the hub's version 2.1; False if the file is not here."""
    try:
        file = file_of(typed)
    except UserError:
        return False
    return content_hash(file) == published.recorded()["weights"].get(published.V21)


def doubts(typed: str, architecture: str) -> list[str]:
    """Say why it may not be the published network; [] if it is known to be."""
    if architecture != ARCHITECTURE:
        return [f"the network is {Path(architecture).stem}, not {ARCHITECTURE}"]
    if not official(typed):
        return [f"the checkpoint is not known to be the hub's {published.V21} (s2g fetch hps records its sha256)"]
    return []


@cache
def sizes(architecture: str) -> Mapping[str, Any]:
    """Return the network's sizes by open_clip's name or from a JSON file of that form; UserError if there are none."""
    with uninterrupted():
        import open_clip
    path = Path(architecture).expanduser()
    if path.suffix != ".json":
        found = open_clip.get_model_config(architecture)
        if found is None:
            raise UserError(
                f"bench.architecture = {architecture}: open_clip knows no network of that name",
                allowed=f"{ARCHITECTURE}, another of open_clip's names, or a .json of sizes in its form",
            )
        return found
    try:
        return load_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"bench.architecture = {architecture}: cannot be read ({error})", allowed=ARCHITECTURE) from error


def empty(architecture: str) -> Any:
    """Build the network on the meta device, without weights; UserError for impossible sizes."""
    import torch
    from open_clip.model import CLIP

    about = sizes(architecture)
    try:
        with torch.device("meta"):
            quick = about.get("quick_gelu", False)
            return CLIP(about["embed_dim"], about["vision_cfg"], about["text_cfg"], quick, output_dict=True).eval()
    except (KeyError, TypeError, AttributeError, AssertionError) as error:
        raise UserError(
            f"bench.architecture = {architecture}: makes no CLIP ({error})", allowed=f"{ARCHITECTURE}, or open_clip's JSON"
        ) from error


def read(typed: str, architecture: str, mapped: bool = False) -> dict[str, Any]:
    """Read tensors by name that fit the network; UserError says what the file is instead, or the first names that differ.

    mapped: only looked at, without reading gigabytes.
    """
    with uninterrupted():
        import torch
    file = file_of(typed)
    try:
        held = torch.load(file, weights_only=True, map_location="cpu", mmap=mapped)
    except OSError as error:
        raise UserError(f"{KEY} = {typed}: {error.strerror}") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise UserError(f"{KEY} = {typed}: not a checkpoint ({str(error).splitlines()[0]})", todo=FETCH) from error
    state = held.get("state_dict") if isinstance(held, dict) else None
    if not isinstance(state, dict):
        raise UserError(f"{KEY} = {typed}: it has no state_dict", allowed=f"the layout of {published.V21}", todo=FETCH)
    wanted = {name: tuple(tensor.shape) for name, tensor in empty(architecture).state_dict().items()}
    differ = [f"{name} is lacking" for name in wanted if name not in state]
    differ += [f"{name} is not of it" for name in state if name not in wanted]
    differ += [
        f"{name} is {tuple(state[name].shape)} instead of {shape}"
        for name, shape in wanted.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    if differ:
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UserError(
            f"{KEY} = {typed}: it is no {Path(architecture).stem}: {'; '.join(differ[:3])}{more}",
            allowed=published.V21,
            todo=FETCH,
        )
    return state

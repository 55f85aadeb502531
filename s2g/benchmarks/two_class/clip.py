"""CLIP's image features through open_clip, from a published set of weights or a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from s2g.errors import MissingError, UserError, unknown
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.io.one_thread import one_thread

KEY = "bench.clip"
FILES = (".pt", ".bin", ".safetensors")


def identity(architecture: str, weights: str) -> str:
    """Return which network it is: a published name stands for one set of weights, a file for its hash."""
    path = Path(weights).expanduser()
    return f"{architecture}:{content_hash(path) if path.is_file() else weights}"


def weights_file(architecture: str, weights: str, download: bool = False) -> Path:
    """Return the weights' path, fetched if that is allowed; UserError naming bench.clip if there is none.

    weights: a name that open_clip knows for the architecture (openai, laion2b_s34b_b79k, ...), or a file.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if path.suffix in FILES or len(path.parts) > 1:
        raise MissingError(KEY, weights, f"no file {path}", allowed="a weights file, or a name that open_clip knows")
    with uninterrupted():
        import open_clip
        from open_clip.pretrained import download_pretrained
    if architecture not in open_clip.list_models():
        raise unknown("bench.architecture", architecture, open_clip.list_models())
    about = open_clip.get_pretrained_cfg(architecture, weights)
    if not about:
        raise unknown(KEY, weights, open_clip.list_pretrained_tags_by_model(architecture))
    kept = _kept(about)
    if kept is not None:
        return kept
    todo = f"bench.download=true fetches them (600 MB); or {KEY}=FILE"
    if not download:
        raise MissingError(KEY, weights, "no file of these weights is on this machine", todo=todo)
    try:
        return Path(download_pretrained(about))
    except OSError as error:
        raise UserError(
            f"{KEY} = {weights}: cannot be fetched ({error})", todo=f"make a network available; or {KEY}=FILE"
        ) from error


def _kept(about: dict[str, Any]) -> Path | None:
    """Return the file that was fetched before, None if there is none; no network access."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, name = str(about.get("hf_hub", "")).rpartition("/")
    for file in (name,) if name else ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"):
        kept = try_to_load_from_cache(repository, file) if repository else None
        if isinstance(kept, str):
            return Path(kept)
    return None


@cache
def _network(architecture: str, weights: str, download: bool) -> tuple[Any, Callable[[Image.Image], Any]]:
    """Load the network in evaluation mode, and its own preprocessing."""
    file = weights_file(architecture, weights, download)
    with uninterrupted():
        import open_clip
    try:
        model, _, prepare = open_clip.create_model_and_transforms(architecture, pretrained=str(file))
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(
            f"{KEY} = {weights}: {file} is no {architecture} ({str(error).splitlines()[0]})", todo="name its bench.architecture"
        ) from error
    return model.eval(), prepare  # type: ignore[return-value]


def features_of(architecture: str, weights: str, images: np.ndarray, download: bool = False) -> np.ndarray:
    """Return the image embeddings [B, D] of uint8 images [B, H, W, 3], resized as open_clip does; one thread."""
    import torch

    model, prepare = _network(architecture, weights, download)
    with one_thread(), torch.no_grad():
        return model.encode_image(torch.stack([prepare(Image.fromarray(image)) for image in images])).float().numpy()

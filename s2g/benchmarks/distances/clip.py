"""CLIP's image features through open_clip, from a published set of weights or a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from s2g.benchmarks.distances.network import Network, Part, place_of
from s2g.benchmarks.distances.resize import center_square
from s2g.errors import MissingError, UserError, unknown
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.io.one_thread import one_thread

KEY = "bench.clip"
OFFICIAL, ARCHITECTURE = "openai", "ViT-L-14-336-quickgelu"  # google-research/google-research, cmmd
FETCH = "hf download timm/vit_large_patch14_clip_336.openai open_clip_model.safetensors"
BATCH = 16  # images at once
FILES = (".pt", ".bin", ".safetensors")


@dataclass(frozen=True)
class UnitClip(Network):
    """CLIP's image embeddings brought to unit length, as CMMD has them (arXiv 2401.09603): of the middle square of an image."""

    weights: str = OFFICIAL
    architecture: str = ARCHITECTURE

    parts: ClassVar[tuple[Part, ...]] = (Part("clip", slice(None)),)
    download: ClassVar[str] = f"CLIP {ARCHITECTURE} of {OFFICIAL} (MIT), 1.7 GB"

    def check(self) -> None:
        try:
            weights_file(self.architecture, self.weights)
        except MissingError as error:  # a bench whose images are compared fetches nothing by itself
            raise MissingError(KEY, self.weights, error.why, allowed=self.download, todo=f"{FETCH}; or {KEY}=FILE") from error

    def identity(self) -> str:
        return f"clip {self.architecture} {content_hash(weights_file(self.architecture, self.weights))}"

    @property
    def width(self) -> int:
        import open_clip

        about = open_clip.get_model_config(self.architecture)
        assert about is not None  # check() has named an unknown one
        return int(about["embed_dim"])

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        place = place_of(device)
        squares = [center_square(image, min(image.shape[:2])) for image in images]
        parts = [
            features_of(self.architecture, self.weights, np.stack(squares[at : at + BATCH]), device=place)
            for at in range(0, len(squares), BATCH)
        ]
        features = np.concatenate(parts)
        return features / np.linalg.norm(features, axis=1, keepdims=True)


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
    todo = f"bench.download=true fetches them (0.6 to 1.7 GB); or {KEY}=FILE"
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
def _network(architecture: str, weights: str, download: bool, device: str) -> tuple[Any, Callable[[Image.Image], Any]]:
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
    return model.eval().to(device), prepare  # type: ignore[return-value]


def features_of(architecture: str, weights: str, images: np.ndarray, download: bool = False, device: str = "cpu") -> np.ndarray:
    """Return the image embeddings [B, D] of uint8 images [B, H, W, 3], resized as open_clip does; one thread on a CPU."""
    import torch

    model, prepare = _network(architecture, weights, download, device)
    with one_thread(), torch.no_grad():
        prepared = torch.stack([prepare(Image.fromarray(image)) for image in images])
        return model.encode_image(prepared.to(device)).float().cpu().numpy()

"""The official hpsv2 package as a scorer, in an environment of its own (bench.scorer=official)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s2g.cached import content_hash
from s2g.config import canonical
from s2g.engine.judged import Image
from s2g.hps import checkpoint
from s2g.metrics.isolated.child import values_of
from s2g.metrics.isolated.environment import Isolated, find


def environment() -> Isolated:
    """Where the package lives."""
    return find("hpsv2")


def identity(weights: str) -> dict[str, Any]:
    """All that its score depends on, but for the device: the package computes in half precision on a GPU alone."""
    return {**environment().identity(), "weights_sha256": content_hash(checkpoint.file_of(weights))}


def short(about: Mapping[str, Any]) -> str:
    """12 hex digits of what a scorer is."""
    return hashlib.sha256(canonical(about).encode()).hexdigest()[:12]


def scores(images: Sequence[Image], texts: Sequence[str], weights: str, place: Path) -> list[float]:
    """100 times the package's score of each image with its prompt; UserError, IsolatedError as `values_of`."""
    file = checkpoint.file_of(weights)
    keys = [f"{image.sha256} {text}" for image, text in zip(images, texts, strict=True)]
    items = [
        {"key": key, "path": str(image.path.absolute()), "prompt": text}
        for key, image, text in zip(keys, images, texts, strict=True)
    ]
    settings = {"checkpoint": str(file.resolve()), "sha256": content_hash(file)}
    found = values_of(environment(), items, place / f"hpsv2-{short(identity(weights))}", settings)
    return [100.0 * found[key] for key in keys]

"""Score files of a run: estimates as JSON, per-item arrays as npz, both with checksums."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from s2g import __version__
from s2g.io.atomic import write_bytes, write_json
from s2g.io.json_files import load_json
from s2g.io.library_versions import versions
from s2g.metrics.statistics import Estimate
from s2g.store.store import Store, checksum


def items_digest(records: Sequence[dict[str, Any]], num: int) -> str:
    """Return the sha256 over the first `num` items' sha256, in order; over that of their pixels where it is recorded."""
    hashes = [entry.get("pixels", entry["sha256"]) for record in records for entry in record["items"]][:num]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def read_arrays(store: Store, name: str, items: str) -> dict[str, np.ndarray] | None:
    """Return the per-item arrays of a stored score; None if there is none, it is damaged, or it measured other items."""
    folder = store.folder / "scores"
    try:
        metadata = load_json(folder / f"{name}.json")
        check = metadata.pop("check")
        content = (folder / f"{name}.npz").read_bytes()
        if metadata["items"] != items or metadata["arrays_sha256"] != hashlib.sha256(content).hexdigest():
            return None
        if check != checksum(metadata):
            return None
        with np.load(io.BytesIO(content)) as stored:
            return dict(stored)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_scores(
    store: Store, name: str, arrays: dict[str, np.ndarray], estimates: dict[str, Estimate], metadata: dict[str, Any]
) -> None:
    """Write a score's estimates and arrays [N, ...] atomically; OSError where the store cannot be written."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    content = stream.getvalue()
    values = {metric: {key: _rounded(value) for key, value in asdict(found).items()} for metric, found in estimates.items()}
    # Every score names the libraries that measured it; the protocol does too where their answers have changed between releases.
    metadata = {
        "values": values,
        **metadata,
        "versions": {"s2g": __version__, **versions()},
        "arrays_sha256": hashlib.sha256(content).hexdigest(),
    }
    with store.exclusive() as scratch:
        write_bytes(store.folder / "scores" / f"{name}.npz", content, scratch)
        metadata = json.loads(json.dumps(metadata))  # the checksum is of what will be read back
        write_json(store.folder / "scores" / f"{name}.json", {**metadata, "check": checksum(metadata)}, scratch)


def _rounded(value: float | int | str | None) -> float | int | str | None:
    """Return a float at 9 significant digits; None where it is not finite, which JSON cannot express."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.9g}") if math.isfinite(value) else None

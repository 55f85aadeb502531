"""The trail of an experiment's numbers: item hashes and per-item scores of its runs, as one compressed npz file.

    KEY/sha256            [N, 8] uint8, the first eight bytes of each item's sha256 (of its pixels, where a record has that)
    KEY/PROTOCOL/ARRAY    [N], a per-item score; what has more than one number an item (features) is left out

Results hold estimates; this file is what a second machine compares its own items with (`s2g check`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from s2g.errors import UserError
from s2g.experiments.specification import command_of
from s2g.io.atomic import write_bytes
from s2g.scoring.score import Score, score_name
from s2g.store.store import Store

HASH_BYTES = 8
TOLERANCE = 1e-3  # absolute and relative: machines differ in last bits, and scores in what these become
SHA256 = "sha256"
ENDING = ".items.npz"  # behind NAME-PROFILE


@dataclass(frozen=True)
class Compared:
    """How many of the first items of a run are the same in two trails."""

    key: str
    items: int
    same_bytes: int
    same_scores: int  # every per-item score within TOLERANCE
    differing: tuple[str, ...]  # names of the scores that differ


def collect_trail(scores: Iterable[Score], root: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of the trail of scored runs stored below `root`."""
    trail: dict[str, np.ndarray] = {}
    for score in scores:
        run = score.run
        if f"{run.key}/{SHA256}" not in trail:
            items = [item for record in Store.of(run, root).records(run.units) for item in record["items"]][: run.num]
            hashes = b"".join(bytes.fromhex(item.get("pixels", item[SHA256]))[:HASH_BYTES] for item in items)
            trail[f"{run.key}/{SHA256}"] = np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES)
        protocol = score_name(run.bench, run.num)
        for name, values in score.arrays.items():
            if values.shape == (run.num,) and values.dtype.kind in "biuf":
                trail[f"{run.key}/{protocol}/{name}"] = values.astype(np.float32) if values.dtype.kind == "f" else values
    return trail


def write_trail(path: Path, trail: Mapping[str, np.ndarray]) -> None:
    """Write a trail atomically."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **dict(trail))  # type: ignore[arg-type]
    write_bytes(path, stream.getvalue())


def read_trail(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a trail; UserError if there is none or it cannot be read."""
    try:
        with np.load(path) as stored:
            return dict(stored)
    except FileNotFoundError:
        exhibit, _, profile = path.name.removesuffix(ENDING).rpartition("-")
        kept = sorted(other.name.removesuffix(ENDING) for other in path.parent.glob(f"*{ENDING}"))
        raise UserError(
            f"{path}: the items of these results are not kept",
            allowed=f"{', '.join(kept) or 'none'} (NAME-PROFILE)",
            todo=_make(exhibit, profile),
        ) from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error})", todo="restore it from version control") from error


def kept_keys(trail: Mapping[str, np.ndarray], keys: Sequence[str], name: str, profile: str) -> list[str]:
    """Return those of the keys of an experiment's runs whose items a trail has; UserError if it has none of them."""
    if kept := [key for key in keys if f"{key}/{SHA256}" in trail]:
        return kept
    raise UserError(f"{', '.join(keys)}: the committed results are of other runs", todo=_make(name, profile))


def _make(name: str, profile: str) -> str:
    """Return the advice to make an experiment's results again."""
    return f"{command_of(name, profile)} makes them again"


def compare_trails(committed: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray], key: str) -> Compared:
    """Compare the items of one run, as many as both trails have."""
    old, new = committed[f"{key}/{SHA256}"], now[f"{key}/{SHA256}"]
    count = min(len(old), len(new))
    agree, differing = np.ones(count, bool), []
    old_scores = dict(_by_array(committed, key))
    for name, values in _by_array(now, key):
        if name in old_scores:
            same = np.isclose(values[:count], old_scores[name][:count], TOLERANCE, TOLERANCE, equal_nan=True)
            agree &= same
            differing += [] if same.all() else [name]
    same_bytes = int((old[:count] == new[:count]).all(1).sum())
    return Compared(key, count, same_bytes, int(agree.sum()), tuple(differing))


def _by_array(trail: Mapping[str, np.ndarray], key: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the scores of a run by the array's name: the protocol's name holds the number of items, which may differ."""
    for name, values in trail.items():
        run, _, rest = name.partition("/")
        if run == key and rest != SHA256:
            yield rest.partition("/")[2], values


def items_of(trail: Mapping[str, np.ndarray], key: str, count: int) -> list[list[str]]:
    """Return the first items of a run as rows of text, the head first: item, beginning of its sha256, per-item scores."""
    if f"{key}/{SHA256}" not in trail:
        return []
    hashes, scores = trail[f"{key}/{SHA256}"][:count], dict(_by_array(trail, key))
    rows = [["item", SHA256, *scores]]
    for item, hashed in enumerate(hashes):
        values = (
            "yes" if value is np.True_ else "no" if value is np.False_ else f"{value:.4g}"
            for value in (array[item] for array in scores.values())
        )
        rows.append([str(item), hashed.tobytes().hex(), *values])
    return rows

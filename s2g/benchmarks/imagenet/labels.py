"""Which class each item of bench=imagenet is of."""

from __future__ import annotations

from collections.abc import Sequence

from s2g.rng import Purpose, philox

CLASSES = 1000
STRIDE = 421  # ours: shares no factor with 1000, and takes neighbouring items to classes that are far apart in the list
LABELS = ("uniform", "balanced")


def labels_of(kind: str, seed: int, items: Sequence[int]) -> list[int]:
    """Return classes by index: drawn uniformly for each (seed, item), or every class equally often in any thousand.

    A draw's bias is 1000 / 2^64.
    """
    if kind == "balanced":
        return [item * STRIDE % CLASSES for item in items]
    return [int(philox(Purpose.LABEL, seed, item).random_raw()) % CLASSES for item in items]


def described(kind: str, seed: int) -> dict[str, object]:
    """Return the choice of labels as plain data."""
    if kind == "balanced":
        return {"labels": f"{STRIDE} index mod {CLASSES}"}
    return {"labels": f"uniform over {CLASSES}", "label_seed": seed}

"""Committed results beside the same results made again: which numbers are equal, and which agree within their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.io.json_files import load_json

LAST_BITS = 1e-3  # relative: how far numbers without an interval may lie apart on another machine
Interval = tuple[float | None, float | None, float | None]  # value, low, high


@dataclass(frozen=True)
class Remade:
    """A count of the numbers of a result, committed and made again."""

    equal: int  # to the 6 digits that are written
    within: int  # each inside the other's 95 % interval
    outside: tuple[str, ...]  # "row: column: committed -> now", and what was not made again
    added: int  # numbers that the committed result does not have


def compare_results(committed: Path, now: Path) -> Remade:
    """Compare the values and differences of two results files of one experiment; OSError or ValueError if one is unreadable."""
    old, new = (dict(numbers_in(load_json(path)["rows"])) for path in (committed, now))
    equal = within = 0
    outside = []
    for name, before in old.items():
        after = new.get(name)
        if after is not None and after[0] == before[0]:
            equal += 1
        elif after is not None and agree(before, after):
            within += 1
        else:
            outside.append(f"{name}: {before[0]} -> {'not made' if after is None else after[0]}")
    return Remade(equal, within, tuple(outside), len(new.keys() - old.keys()))


def numbers_in(part: Any, name: str = "") -> Iterator[tuple[str, Interval]]:
    """Yield (name, interval) of every value below a part of a results file."""
    if isinstance(part, list):
        for row in part:
            yield from numbers_in(row, f"{row.get('group', '')} {row['row']}".strip())
    elif isinstance(part, Mapping):
        if "value" in part:
            yield name, (part["value"], part.get("low"), part.get("high"))
        for key, inner in part.items():
            if isinstance(inner, Mapping):
                yield from numbers_in(inner, f"{name}: {key}")


def agree(one: Interval, other: Interval) -> bool:
    """Return whether each value lies within the other's interval; without intervals, whether they differ in last bits."""
    if one[0] is None or other[0] is None:
        return False
    return all(low <= value <= high for (low, high), value in ((ends(one), other[0]), (ends(other), one[0])))


def ends(interval: Interval) -> tuple[float, float]:
    """Return the ends of an interval, LAST_BITS around the value where none was measured."""
    value, low, high = interval
    assert value is not None
    near = abs(value) * LAST_BITS
    return value - near if low is None else low, value + near if high is None else high

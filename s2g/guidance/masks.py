"""How many blocks are dropped, and which never are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from s2g.errors import UserError

DROP_RATIO = 0.1  # paper Section 4.5: about 10 % of the blocks


def count_from_ratio(ratio: float, num_blocks: int) -> int:
    """Return k = max(1, floor(r N + 1/2)) with N all blocks: 10 % of 12, 24, 28, 38, 57 blocks is 1, 2, 3, 4, 6 (ours)."""
    return max(1, math.floor(ratio * num_blocks + 0.5))


def drop_count(drop_blocks: int | None, drop_ratio: float | None, num_blocks: int) -> int:
    """Return the number of dropped blocks from whichever of the two knobs is given."""
    if drop_blocks is not None and drop_ratio is not None:
        raise UserError(
            f"guidance.drop_blocks = {drop_blocks} and guidance.drop_ratio = {drop_ratio}: both were given",
            todo="keep one of them",
        )
    if drop_blocks is not None:
        return drop_blocks
    if drop_ratio is None or not 0 < drop_ratio < 1:
        raise UserError(f"guidance.drop_ratio = {drop_ratio}: not a share of the blocks", allowed="between 0 and 1")
    return count_from_ratio(drop_ratio, num_blocks)


def indices(blocks: Sequence[int], num_blocks: int, key: str) -> tuple[int, ...]:
    """Return ascending block indices, negative ones counted from the end; UserError for a block that does not exist."""
    outside = [index for index in blocks if not -num_blocks <= index < num_blocks]
    if outside:
        raise UserError(
            f"{key} = {list(blocks)}: the network has no block {outside[0]}", allowed=f"{-num_blocks} to {num_blocks - 1}"
        )
    return tuple(sorted({index % num_blocks for index in blocks}))


DRAWS = ("any", "late")


def never_drawn(protect: Sequence[int], draw: str, num_blocks: int) -> tuple[int, ...]:
    """Return the blocks that no mask holds: the protected ones, and for draw=late the first half, floor(N / 2) of them."""
    return tuple(sorted({*protect, *range(num_blocks // 2 if draw == "late" else 0)}))


def check_drop(drop: int, protect: Sequence[int], num_blocks: int, typed: str) -> None:
    """Raise UserError, beginning with what was typed, unless 1 <= drop <= eligible blocks."""
    eligible = num_blocks - len(protect)
    if eligible < 1:
        raise UserError(
            f"{typed}: no block can be left out: {num_blocks} blocks of which {list(protect)} are protected",
            todo="protect fewer blocks (guidance.protect), or use a method that leaves none out, such as guidance=cfg",
        )
    if not 1 <= drop <= eligible:
        raise UserError(
            f"{typed}: {num_blocks} blocks of which {list(protect)} are protected",
            allowed=f"1 to {eligible}",
            todo="lower guidance.drop_blocks or guidance.drop_ratio, or protect fewer blocks (guidance.protect)",
        )

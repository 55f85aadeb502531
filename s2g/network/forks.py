"""Where edited passes of one evaluation leave the plain pass, and each other.

Two masks that begin alike are one network up to the first block that only one of them drops, so their passes form a tree:
each resumes where it last leaves one that was before it in the order of masks. No block is run twice on the same state.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from s2g.network.branch import Branch, Edit

Point = tuple[str, tuple[int, ...], int]  # condition, the blocks dropped so far, and the block that is entered


@dataclass(frozen=True)
class Turn:
    """One edited pass: the point it resumes from, or None, and the blocks at which it leaves its own state for later ones."""

    branch: Branch
    edit: Edit
    resume: Point | None
    record: frozenset[int]

    def point(self, block: int) -> Point:
        """Return the point that this pass is at when it enters a block."""
        return self.branch.condition, _before(self.edit, block), block


def turns(edited: Sequence[tuple[Branch, Edit]], recorded: Collection[Point], share: bool) -> list[Turn]:
    """Order edited branches, and say where each resumes. recorded: points of the plain passes; share: among each other, too."""
    known, found = set(recorded), []
    needed = _splits(edited) if share else set()
    for branch, edit in sorted(edited, key=lambda one: (one[0].condition, sorted(one[1].touched))):
        fitting = [point for point in known if _fits(branch, edit, point)]
        resume = max(fitting, key=lambda point: point[2], default=None)
        entered = -1 if resume is None else resume[2]
        record = {point for point in needed - known if _fits(branch, edit, point) and point[2] > entered}
        known |= record
        found.append(Turn(branch, edit, resume, frozenset(block for _, _, block in record)))
    return found


def _splits(edited: Sequence[tuple[Branch, Edit]]) -> set[Point]:
    """Return where each mask last leaves one before it; as long as nothing is dropped, the plain pass has the state."""
    masks = sorted((branch.condition, tuple(sorted(edit.dropped))) for branch, edit in edited if edit.dropped)
    points = set()
    for place, (condition, mask) in enumerate(masks):
        others = (other for name, other in masks[:place] if name == condition)
        block = max((min(set(mask) ^ set(other)) for other in others if mask[0] == other[0]), default=0)
        if block:
            points.add((condition, tuple(index for index in mask if index < block), block))
    return points


def _fits(branch: Branch, edit: Edit, point: Point) -> bool:
    """Return whether a pass is in the state that was left at a point when it gets there."""
    condition, dropped, block = point
    if condition != branch.condition or _before(edit, block) != dropped:
        return False
    return all(index in edit.dropped for index in edit.touched if index < block)  # edited attention has another state


def _before(edit: Edit, block: int) -> tuple[int, ...]:
    return tuple(sorted(index for index in edit.dropped if index < block))

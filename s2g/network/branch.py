"""A branch is one evaluation of the network: which conditioning it gets, and what is done to the network meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Edit(Protocol):
    """A change of the network for one evaluation; hashable, because equal branches are evaluated once."""

    @property
    def touched(self) -> frozenset[int]:
        """Blocks whose work is changed: up to the first of them the edited pass is the plain pass."""
        ...

    @property
    def dropped(self) -> frozenset[int]:
        """Blocks that are left out: they hand on what they were given."""
        ...


@dataclass(frozen=True)
class DropBlocks:
    """Leave out whole residual blocks: the paper's mask m (Eq. 2), as the set of dropped indices."""

    blocks: frozenset[int]

    def __init__(self, blocks: Iterable[int]) -> None:
        object.__setattr__(self, "blocks", frozenset(blocks))
        if not self.blocks:
            raise ValueError("a mask that drops no block is no edit: leave Branch.edit None")

    @property
    def touched(self) -> frozenset[int]:
        return self.blocks

    @property
    def dropped(self) -> frozenset[int]:
        return self.blocks

    def __repr__(self) -> str:
        return f"DropBlocks({sorted(self.blocks)})"


@dataclass(frozen=True)
class Branch:
    """One evaluation: condition "cond" or "uncond", and an edit or None."""

    condition: str = "cond"
    edit: Edit | None = None

    def __str__(self) -> str:
        return self.condition if self.edit is None else f"{self.condition} with {self.edit}"


COND = Branch("cond")
UNCOND = Branch("uncond")

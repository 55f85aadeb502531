"""The network without some fixed blocks, throughout: what the paper's Figure 15 shows of each block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Guidance, State, Step, Wrapper
from s2g.guidance.cfg import CFG
from s2g.network.branch import Branch, DropBlocks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pruned(Wrapper):
    """A base method with the chosen blocks left out of every plain evaluation."""

    base: Guidance = field(default_factory=CFG)
    layers: tuple[int, ...] = (0,)  # blocks left out; a model without a preset has its middle block

    def __post_init__(self) -> None:
        if not self.layers:
            raise UserError("guidance.layers = []: nothing to leave out", allowed="at least one block")

    @property
    def inside(self) -> Guidance:
        return self.base

    def branches(self, step: Step) -> Sequence[Branch]:
        return [self._without(branch) for branch in self.base.branches(step)]

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return self.base.combine({b: preds[self._without(b)] for b in self.base.branches(step)}, step, state)

    def _without(self, branch: Branch) -> Branch:
        return branch if branch.edit is not None else Branch(branch.condition, DropBlocks(self.layers))

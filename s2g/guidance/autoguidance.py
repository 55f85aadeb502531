"""Autoguidance (arXiv 2406.02507): steer away from a weaker network under the same condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from s2g.errors import UserError
from s2g.guidance.base import AT_ONE, BaseMethod, State, Step, Weak
from s2g.network.branch import COND, Branch, WeakModel

if TYPE_CHECKING:
    from torch import Tensor

WEAK = Branch("cond", WeakModel())


def autoguidance(cond: Tensor, weak: Tensor, scale: float) -> Tensor:
    """Apply Eq. 3 of the source: D_weak + scale (D_cond - D_weak), both conditional; any space will do."""
    return weak + scale * (cond - weak)


@dataclass(frozen=True)
class Autoguidance(BaseMethod):
    """One evaluation of each network a step. There is no uncond branch, so it has no effective guidance scale."""

    scale: float = 2.1  # EDM2-S on ImageNet-512 by FID (NVlabs/edm2); 1 is no guidance
    weak: str | None = field(default=None, metadata={"place": True})  # its weights file, or builtin; their hash is in the key
    weak_network: Mapping[str, Any] = field(default_factory=dict)  # what differs from the model's network

    @property
    def weaker(self) -> Weak | None:
        if self.scale == 1:
            return None
        if self.weak is None:
            raise UserError(
                "guidance.weak: autoguidance needs a weaker network",
                allowed="a weights file of the same architecture; builtin for model=tiny_sit",
                todo="guidance.weak=FILE, and guidance.weak_network={depth: 6} where its network differs",
            )
        return Weak(self.weak, self.weak_network)

    @property
    def neutral(self) -> str:
        return AT_ONE if self.scale == 1 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.scale == 1 else (COND, WEAK)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND] if self.scale == 1 else autoguidance(preds[COND], preds[WEAK], self.scale)

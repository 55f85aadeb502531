"""Naive S2-Guidance (paper Eq. 3): the mean over N sub-networks at every step."""

from __future__ import annotations

from dataclasses import dataclass

from s2g.errors import UserError
from s2g.guidance.base import Step
from s2g.guidance.s2 import S2
from s2g.network.branch import Branch


@dataclass(frozen=True)
class NaiveS2(S2):
    """N independent masks a step; mask 0 is S2's own, and equal masks are evaluated once but weigh as often as drawn."""

    masks: int = 4  # ours for everyday use; the paper's toy studies do not state theirs

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.masks < 1:
            raise UserError(f"guidance.masks = {self.masks}", allowed="1 or more")

    def subs(self, step: Step) -> tuple[Branch, ...]:
        return tuple(self.sub(step, i) for i in range(self.masks))

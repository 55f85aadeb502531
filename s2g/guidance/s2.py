"""S2-Guidance, stochastic self-guidance: steer away from what a random sub-network of the model predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s2g.config.coerce import at_least
from s2g.errors import UserError
from s2g.guidance.base import Guidance, Requirement, State, Step
from s2g.guidance.cfg import CFG
from s2g.guidance.masks import DRAWS, DROP_RATIO, count_from_ratio, never_drawn
from s2g.guidance.window import InWindow, Window
from s2g.network.branch import COND, Branch, DropBlocks

if TYPE_CHECKING:
    from torch import Tensor


def s2(guided: Tensor, cond: Tensor, sub: Tensor, omega: float) -> Tensor:
    """Apply paper Eq. 4 and Algorithm 1: guided - omega (D_sub - D_cond), with `guided` the base method's result.

    Naive S2 (Eq. 3) is the same with the mean of N sub-network predictions for `sub`.
    """
    return guided - omega * (sub - cond)


def s2_eq20(guided: Tensor, sub: Tensor, omega: float) -> Tensor:
    """Apply the appendix's literal Eq. 20: guided - omega D_sub.

    Inconsistent with Eq. 3, Eq. 4 and Algorithm 1: its weights sum to 1 - omega, so the result depends on the space
    it is taken in, and where all predictions agree it still shrinks them. Kept to show just that.
    """
    return guided - omega * sub


CENTRAL = Window(0.1, 0.9)
KEPT = "s2: sub - cond"  # in the memory of the base method


@dataclass(frozen=True)
class S2(InWindow):
    """One sub-network a step, `drop` random blocks left out, over any base method; the base alone outside the window."""

    base: Guidance = field(default_factory=CFG)
    omega: float = 0.25  # paper B.4
    drop: int = 0  # blocks left out; 0: about 10 % of the network's (paper Section 4.5)
    protect: tuple[int, ...] = (0,)  # dropping the first block harms (paper Fig. 7c, 7d)
    window: Window = CENTRAL  # the central 80 % (paper Fig. 7e; its Table 5 counts 23 of 28 steps)
    form: str = "eq4"
    # Ours, cheaper, and not the paper's method:
    draw: str = field(default="any", metadata={"later": True})  # late: blocks of the later half alone, so that more is reused
    every: int = field(default=1, metadata={"later": True})  # steps a sub-network serves: its direction is kept in between

    def __post_init__(self) -> None:
        if self.form not in ("eq4", "eq20"):
            raise UserError(f"guidance.form = {self.form}", allowed="eq4, eq20")
        if self.draw not in DRAWS:
            raise UserError(f"guidance.draw = {self.draw}", allowed=", ".join(DRAWS))
        at_least(self.every, 1, "guidance.every")
        if self.every > 1 and self.form != "eq4":
            raise UserError(f"guidance.every = {self.every}: Eq. 20 has no direction to keep", allowed="guidance.form=eq4")

    @property
    def needs(self) -> frozenset[Requirement]:
        return super().needs | {Requirement.STEPS}

    @property
    def neutral(self) -> str:
        return "omega = 0: it is its base" if self.omega == 0 else ""

    def branches(self, step: Step) -> Sequence[Branch]:
        branches = self.base.branches(step)
        if not branches or not self.window.active(step):
            return branches
        return (*branches, COND, *self.subs(step)) if self.fresh(step) else branches

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        guided = self.base.combine(preds, step, state)
        if not self.window.active(step):
            return guided
        if not self.fresh(step):  # no direction yet where the base stood still at the step that was to give it
            return guided - self.omega * state[KEPT] if KEPT in state else guided
        subs = [preds[branch] for branch in self.subs(step)]
        sub = subs[0] if len(subs) == 1 else sum(subs[1:], subs[0]) / len(subs)
        if self.every > 1 and step.stage == 0:
            state[KEPT] = sub - preds[COND]
        return s2(guided, preds[COND], sub, self.omega) if self.form == "eq4" else s2_eq20(guided, sub, self.omega)

    def subs(self, step: Step) -> tuple[Branch, ...]:
        """Return the edited branches of this step: one."""
        return (self.sub(step, 0),)

    def sub(self, step: Step, i: int) -> Branch:
        """Return the conditional branch under mask i of this step."""
        blocks = step.draws.num_blocks
        return Branch("cond", DropBlocks(step.draws.mask(i, self.dropped(blocks), self.never(blocks))))

    def fresh(self, step: Step) -> bool:
        """Return whether a sub-network is evaluated at this step: the first of the window and every `every`-th after it."""
        first = 0 if self.window.by == "level" else self.window.first(step.count) + (self.window.by == "strict")
        return (step.index - first) % self.every == 0

    def never(self, blocks: int) -> tuple[int, ...]:
        """Return which of a network's blocks are not drawn."""
        return never_drawn(self.protect, self.draw, blocks)

    def dropped(self, blocks: int) -> int:
        """Return how many of a network's blocks are left out."""
        return self.drop or count_from_ratio(DROP_RATIO, blocks)

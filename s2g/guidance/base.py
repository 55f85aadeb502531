"""What a guidance method is, and what it is told of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from s2g.models.prediction_space import Space
from s2g.network.branch import Branch
from s2g.rng import Purpose, philox

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, Any]  # a method's memory during one unit (momentum and the like)

AT_ONE = "scale = 1: it is cond alone"  # the reason that most methods give for being neutral


class Requirement(Enum):
    """What only some samplers offer; matched before anything is loaded."""

    STEPS = "numbered steps"
    EULER_LIKE = "Euler-like steps"
    DETERMINISTIC = "deterministic steps"
    FLOW = "steps along the flow's velocity"


class Ability(Enum):
    """What only some models have; matched before anything is loaded."""

    TEXT = "text that the network reads token by token"
    GRID = "latents in rows and columns"


@dataclass
class MaskSampler:
    """The random masks of one unit at one step; mask i is a pure function of (mask_seed, unit, step, i)."""

    mask_seed: int
    unit: int
    step: int
    num_blocks: int
    drawn: dict[int, tuple[int, ...]] = field(default_factory=dict)  # what was asked for, to be stored with the samples

    def mask(self, i: int, drop: int, protect: Sequence[int]) -> tuple[int, ...]:
        """Return indices of the `drop` blocks of mask i: without replacement from the unprotected ones, ascending."""
        eligible = [block for block in range(self.num_blocks) if block not in protect]
        if not 1 <= drop <= len(eligible):
            raise ValueError(f"{drop} blocks to drop, {len(eligible)} of {self.num_blocks} are not protected")
        # The blocks with the smallest of N random words: a uniform subset, the same in every version of numpy.
        words = philox(Purpose.MASK, self.mask_seed, self.unit, self.step, i).random_raw(self.num_blocks)
        chosen = sorted(eligible, key=lambda block: (int(words[block]), block))[:drop]
        self.drawn[i] = tuple(sorted(chosen))
        return self.drawn[i]


@dataclass(frozen=True)
class Step:
    """One evaluation within a step of the sampler."""

    index: int  # which step
    count: int  # of how many
    level: float  # noise level at the start of the step, the same at every stage
    next_level: float  # and at its end
    at: float  # level of this evaluation
    stage: int  # 0, or 1 for a second evaluation (Heun: at = next_level)
    x: Tensor  # [B, ...]
    draws: MaskSampler


@dataclass(frozen=True)
class Weak:
    """A weaker network that a method evaluates beside the model's own."""

    weights: str  # a weights file, or "builtin"
    network: Mapping[str, Any] = field(default_factory=dict)  # what differs in its network; empty: an earlier checkpoint


class Guidance(Protocol):
    """A method: frozen knobs, and these."""

    @property
    def space(self) -> Space:
        """Where `combine` works; the loop converts there and back."""
        ...

    @property
    def needs(self) -> frozenset[Requirement]:
        """What the sampler must offer."""
        ...

    @property
    def channels(self) -> int | None:
        """How many of the first channels are guided; None: all. The effective scale is measured on them."""
        ...

    @property
    def weaker(self) -> Weak | None:
        """The second network it evaluates, if it does."""
        ...

    @property
    def asks(self) -> frozenset[Ability]:
        """What the model must have."""
        ...

    @property
    def reads_x(self) -> bool:
        """Whether `combine` reads x itself, so that it must be of the prediction's shape."""
        ...

    @property
    def neutral(self) -> str:
        """Why, with these knobs, it is what it builds on, CFG, or one prediction alone: "eta = 1: it is its base"; else ""."""
        ...

    def start(self) -> State:
        """Return a fresh memory, one per unit."""
        ...

    def acts(self, step: Step) -> bool:
        """Return whether the method changes this step; False where its result is its base's, cond's, or no movement."""
        ...

    def branches(self, step: Step) -> Sequence[Branch]:
        """Return the evaluations this step needs; none at all means no movement."""
        ...

    def second(self, preds: Mapping[Branch, Tensor], step: Step) -> tuple[Tensor, float]:
        """Return x [B, ...] and noise level of the branches of point 1, from the predictions at point 0, in `space`."""
        ...

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        """Return the guided prediction [B, ...] from the branches' predictions, in `space`, fp32."""
        ...


class BaseMethod:
    """What methods that stand on their own share unless they say otherwise: any space, any sampler, no memory."""

    @property
    def space(self) -> Space:
        return Space.RAW

    @property
    def needs(self) -> frozenset[Requirement]:
        return frozenset()

    @property
    def channels(self) -> int | None:
        return None

    @property
    def weaker(self) -> Weak | None:
        return None

    @property
    def asks(self) -> frozenset[Ability]:
        return frozenset()

    @property
    def reads_x(self) -> bool:
        return False

    @property
    def neutral(self) -> str:
        return ""

    def acts(self, step: Step) -> bool:
        return True

    def start(self) -> State:
        return {}

    def second(self, preds: Mapping[Branch, Tensor], step: Step) -> tuple[Tensor, float]:
        raise NotImplementedError(f"{type(self).__name__} has branches at a second point and does not say where that is")


class Wrapper:
    """What wrappers share: the space, needs and memory of the method inside are theirs."""

    around_wrappers: ClassVar[bool] = False  # whether other wrappers may be its base; else only methods that stand on their own

    @property
    def inside(self) -> Guidance:
        """The method they stand around."""
        raise NotImplementedError

    @property
    def space(self) -> Space:
        return self.inside.space

    @property
    def needs(self) -> frozenset[Requirement]:
        return self.inside.needs

    @property
    def channels(self) -> int | None:
        return self.inside.channels

    @property
    def weaker(self) -> Weak | None:
        return self.inside.weaker

    @property
    def asks(self) -> frozenset[Ability]:
        return self.inside.asks

    @property
    def reads_x(self) -> bool:
        return self.inside.reads_x

    @property
    def neutral(self) -> str:
        return ""

    def acts(self, step: Step) -> bool:
        return self.inside.acts(step)

    def start(self) -> State:
        return self.inside.start()

    def second(self, preds: Mapping[Branch, Tensor], step: Step) -> tuple[Tensor, float]:
        return self.inside.second(preds, step)

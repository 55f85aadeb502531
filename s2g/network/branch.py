"""A branch is one evaluation of the network: which conditioning it gets, and what is done to the network meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Edit(Protocol):
    """A change of the network for one evaluation; hashable, because equal branches are evaluated once."""

    @property
    def touched(self) -> frozenset[int]:
        """Blocks that the edit changes: up to the first of them the edited pass equals the plain pass."""
        ...

    @property
    def dropped(self) -> frozenset[int]:
        """Blocks that are skipped: they return their input."""
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
class AttentionEdit:
    """What edits of self-attention share: the blocks they are made in; the rest of these blocks is unchanged."""

    blocks: frozenset[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", frozenset(self.blocks))
        if not self.blocks:
            raise ValueError("an edit of no block is no edit: leave Branch.edit None")

    @property
    def touched(self) -> frozenset[int]:
        return self.blocks

    @property
    def dropped(self) -> frozenset[int]:
        return frozenset()


@dataclass(frozen=True, init=False)
class PassValues(AttentionEdit):
    """Every token attends to itself alone, so that attention returns the values (STG-A, arXiv 2411.18664).

    With `text`, an image token also sees the text where the same attention holds both, and text tokens go on as they
    were (PAG, arXiv 2403.17377, as diffusers' SD3 pipeline has it).
    """

    text: bool

    def __init__(self, blocks: Iterable[int], text: bool) -> None:
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "text", text)
        self.__post_init__()

    def __repr__(self) -> str:
        return f"PassValues({sorted(self.blocks)}, text={self.text})"


@dataclass(frozen=True, init=False)
class SmoothQueries(AttentionEdit):
    """Queries of the image are blurred by a Gaussian of `sigma` tokens over the grid, frame by frame (SEG, arXiv 2408.00760).

    Above 9999 tokens (INFINITE) every query becomes the mean.
    """

    sigma: float

    def __init__(self, blocks: Iterable[int], sigma: float) -> None:
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "sigma", sigma)
        self.__post_init__()
        if not sigma > 0:
            raise ValueError(f"sigma {sigma} is no blur")

    def __repr__(self) -> str:
        return f"SmoothQueries({sorted(self.blocks)}, sigma={self.sigma:g})"


class NoBlocks:
    """An edit that is of no single block, so that no part of a plain pass is reused."""

    @property
    def touched(self) -> frozenset[int]:
        return frozenset()

    @property
    def dropped(self) -> frozenset[int]:
        return frozenset()


@dataclass(frozen=True)
class NormalizedAttention(NoBlocks):
    """Attention of image tokens to the text, in every block, is led away from the negative text's (NAG, arXiv 2505.21179).

    Both texts go through the network in one call and share the image's tokens, so it counts as two evaluations, and no
    part of a plain pass is reused. without: blocks that are skipped in the same pass.
    """

    scale: float
    tau: float
    alpha: float
    without: frozenset[int] = frozenset()

    @property
    def dropped(self) -> frozenset[int]:
        return self.without


@dataclass(frozen=True)
class WeakModel(NoBlocks):
    """Another, weaker network instead of the model's own; it shares no work with it."""

    name: str = "weak"


@dataclass(frozen=True)
class Branch:
    """One evaluation: under which condition, with an edit or None, and where.

    condition: "cond", "uncond", or "mid", the text of cond in which every second token is uncond's. point: 0 is x, 1 a second
    point that the method names (`Guidance.second`).
    """

    condition: str = "cond"
    edit: Edit | None = None
    point: int = 0

    def __str__(self) -> str:
        edited = self.condition if self.edit is None else f"{self.condition} with {self.edit}"
        return f"{edited} at the second point" if self.point else edited


COND = Branch("cond")
UNCOND = Branch("uncond")

"""Whether a network's blocks are what they are said to be, seen on one plain pass: their order, and what they return.

A wrong order of blocks or of returned streams does not fail by itself: it gives other numbers. The pass costs nothing
extra, since only shapes and the identity of tensors are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from s2g.errors import UserError
from s2g.network.blocks import BlockPort, State


def check_order(ran: Sequence[int], blocks: Sequence[nn.Module]) -> None:
    """Raise UserError unless a plain pass ran every listed block once, in the listed order."""
    if list(ran) == list(range(len(blocks))):
        return
    first = next((place for place, index in enumerate(ran) if index != place), len(ran))
    kind = type(blocks[min(first, len(blocks) - 1)]).__name__
    raise UserError(
        f"the network ran the listed blocks as {list(ran)}, not as 0 to {len(blocks) - 1} ({kind} at place {first})",
        todo="list each residual block once, in the order in which the network runs them",
    )


class BlockWatch:
    """Follows the residual state from block to block during one plain pass."""

    def __init__(self) -> None:
        self.before: tuple[int, BlockPort, tuple[Any, ...]] | None = None  # the last block, and what it returned

    def enters(self, index: int, port: BlockPort, state: State) -> None:
        """Hold what the last block returned against what this one is given: a tensor may not change its name on the way."""
        if self.before is None:
            return
        last, other, returned = self.before
        for name, tensor in zip(other.rule.returns, returned, strict=True):
            came_as = [mine for mine, given in zip(port.rule.state, state, strict=True) if given is tensor]
            if came_as and name in port.rule.state and name not in came_as:
                raise _wrong(
                    last,
                    other.kind,
                    f"what it returns as {name}, the network gives block {index} as {came_as[0]}",
                    other.rule.returns,
                )

    def leaves(self, index: int, port: BlockPort, state: State, output: Any) -> None:
        """Hold what a block returned against the declared order: how many tensors, and their shapes."""
        returned = output if isinstance(output, tuple) else (output,)
        order = port.rule.returns
        if len(returned) != len(order):
            raise _wrong(index, port.kind, f"it returns {len(returned)} values", order)
        given = dict(zip(port.rule.state, state, strict=True))
        for name, tensor in zip(order, returned, strict=True):
            # A network's last block may have nothing left to say about the text.
            if isinstance(tensor, Tensor) and isinstance(given[name], Tensor) and tensor.shape != given[name].shape:
                problem = f"{name} comes in as {tuple(given[name].shape)} and its place holds {tuple(tensor.shape)}"
                raise _wrong(index, port.kind, problem, order)
        self.before = index, port, returned


def _wrong(index: int, kind: type[nn.Module], problem: str, order: Sequence[str]) -> UserError:
    return UserError(
        f"block {index}, {kind.__name__}: registered to return {', '.join(order)}, and {problem}",
        todo=f"s2g.network.blocks.register_block({kind.__name__}, state=[...], returns=[...]) with the order of its `return`",
    )

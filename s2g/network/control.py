"""Block control: run, drop, record, resume, by standing in front of each block's call.

The wrapper sits in the slot in which `nn.Module.compile` puts its compiled call, so it stays outside whatever is
compiled: another mask is then no new graph, and a dropped block is not even entered. The slot is given back on exit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from torch import nn

from s2g.errors import UserError
from s2g.network.attention import SLOT, led_away, perturbed
from s2g.network.blocks import BlockPort, State
from s2g.network.branch import AttentionEdit, NormalizedAttention
from s2g.network.watch import BlockWatch


@dataclass
class Pass:
    """What is done to the blocks during one call of the network.

    dropped: blocks that hand on their state. inside: an edit of attention; the blocks it is made in run uncompiled.
    record: blocks whose entering state is kept in `kept`.
    resume: (block, state) from which the pass goes on; every block before it is skipped.
    """

    dropped: frozenset[int] = frozenset()
    inside: AttentionEdit | NormalizedAttention | None = None
    record: frozenset[int] = frozenset()
    resume: tuple[int, State] | None = None
    kept: dict[int, State] = field(default_factory=dict)
    ran: list[int] = field(default_factory=list)  # blocks that did their work, for the account of cost
    watch: BlockWatch | None = None  # holds what the blocks take and return against what is registered


class BlockControl:
    """Control over a network's residual blocks, in execution order; use as a context manager."""

    def __init__(self, blocks: Sequence[nn.Module], protect: Collection[int] = (), grid: tuple[int, ...] = ()) -> None:
        self.blocks = list(blocks)
        self.grid = grid  # of the image's tokens
        self.protect = frozenset(protect)
        if not self.blocks:
            raise UserError(
                "no residual block was found in the network",
                todo="give the adapter's `blocks` the modules that can be dropped, in execution order",
            )
        if len({id(block) for block in self.blocks}) < len(self.blocks):
            raise UserError("a block is listed twice", todo="list each residual block once, in execution order")
        self.ports = [BlockPort(block) for block in self.blocks]
        self.current: Pass | None = None
        self._before: list[Any] | None = None
        self._ours: list[Callable[..., Any]] = []

    def __enter__(self) -> Self:
        if self._before is not None:
            raise RuntimeError("this BlockControl is already in place")
        self._before = [getattr(block, SLOT) for block in self.blocks]
        self._ours = [
            self._dispatcher(index, getattr(block, SLOT) or block._call_impl) for index, block in enumerate(self.blocks)
        ]
        for block, ours in zip(self.blocks, self._ours, strict=True):
            setattr(block, SLOT, ours)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._before is not None
        for block, before, ours in zip(self.blocks, self._before, self._ours, strict=True):
            if getattr(block, SLOT) is ours:  # what somebody compiled meanwhile stays theirs
                setattr(block, SLOT, before)
        self._before = None

    @contextmanager
    def during(self, work: Pass) -> Iterator[Pass]:
        """Apply `work` to the calls made inside; afterwards the blocks run as usual."""
        if self._before is None:
            raise RuntimeError("enter the BlockControl before a pass: with BlockControl(blocks) as control: ...")
        self.check(work.dropped, also=work.record | (work.inside.touched if work.inside else frozenset()))
        # block.compile() writes into the same slot, and what it puts there would silently run every block.
        lost = [index for index, block in enumerate(self.blocks) if getattr(block, SLOT) is not self._ours[index]]
        if lost:
            raise RuntimeError(f"the calls of blocks {lost} were replaced meanwhile: compile blocks before control is entered")
        self.current = work
        try:
            yield work
        finally:
            self.current = None

    def check(self, dropped: frozenset[int], also: frozenset[int] = frozenset()) -> None:
        """Raise UserError if a mask names a block that the network does not have, or a protected one."""
        named = dropped | also
        missing = sorted(i for i in named if not 0 <= i < len(self.blocks))
        if missing:
            raise UserError(
                f"mask {sorted(named)} names {missing}, which the network does not have",
                allowed=f"0 to {len(self.blocks) - 1}",
            )
        kept = sorted(dropped & self.protect)
        if kept:
            free = [index for index in range(len(self.blocks)) if index not in self.protect]
            raise UserError(
                f"mask {sorted(dropped)} names {kept}, which is protected",
                allowed=", ".join(map(str, free)),
                todo="name other blocks, or protect fewer",
            )

    def _dispatcher(self, index: int, inner: Callable[..., Any]) -> Callable[..., Any]:
        port = self.ports[index]

        def call(*args: Any, **kwargs: Any) -> Any:
            work = self.current
            if work is None:
                return inner(*args, **kwargs)
            if index in work.record:
                work.kept[index] = port.read(args, kwargs)
            if work.resume is not None:
                start, state = work.resume
                if index < start:
                    return port.output(port.read(args, kwargs))
                if index == start:
                    args, kwargs = port.write(state, args, kwargs)
            if index in work.dropped:
                return port.output(port.read(args, kwargs))
            work.ran.append(index)
            if work.watch is not None:
                state = port.read(args, kwargs)
                work.watch.enters(index, port, state)
                output = inner(*args, **kwargs)
                work.watch.leaves(index, port, state, output)
                return output
            if isinstance(work.inside, NormalizedAttention):
                block, (args, kwargs) = self.blocks[index], port.tied(args, kwargs)
                with led_away(block, index, port.rule, work.inside, port.text_tokens(args, kwargs)):
                    return block._call_impl(*args, **kwargs)
            if work.inside is not None and index in work.inside.touched:
                block = self.blocks[index]
                # Its compiled call would be retraced with the edit in it; the others stay compiled.
                with perturbed(block, index, port.rule, work.inside, port.text_tokens(args, kwargs), self.grid):
                    return block._call_impl(*args, **kwargs)
            return inner(*args, **kwargs)

        return call

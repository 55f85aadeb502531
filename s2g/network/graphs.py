"""CUDA graphs of a network's blocks, for small batches: a block's dozens of kernels take longer to launch than to run.

A block is recorded once for each set of shapes that it meets. A recorded call stands in a block's slot as a compiled one does,
below block control: a mask is no new graph, and a block whose attention is edited runs unrecorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from s2g.errors import UserError
from s2g.network.attention import SLOT

Replay = Callable[[], Any]  # computes again what was recorded, from the same inputs into the same outputs, which it returns
Record = Callable[[Callable[[], Any]], Replay]
MOST = 64  # recordings of one block; more come from an argument that changes from step to step
WARM_UP = 3  # calls before one is recorded: libraries choose their kernels and allocate in the first ones


def record_blocks(blocks: Sequence[nn.Module], record: Record | None = None) -> None:
    """Give every block that nobody compiled a call that records and replays, before block control is entered."""
    record, inputs = record or _recorder(), {}
    for block in blocks:
        if getattr(block, SLOT) is None:
            setattr(block, SLOT, RecordedCall(block._call_impl, record, inputs))


@dataclass
class Recording:
    """A call recorded for one set of shapes: where it reads its tensors, the structure of its arguments, and its replay."""

    inputs: list[Any]
    structure: Any
    replay: Replay


class RecordedCall:
    """A block's call. What it returns is a copy: the next replay writes over its outputs, but a pass may keep them for another.

    inputs: the tensors that recordings read, by shapes; the blocks of a network share them, since one runs at a time.
    """

    seconds: ClassVar[float] = 0.0  # what this process has recorded for so far

    def __init__(self, call: Callable[..., Any], record: Record, inputs: dict[tuple[Any, ...], list[Any]]) -> None:
        self.call, self.record, self.inputs = call, record, inputs
        self.recordings: dict[tuple[Any, ...], Recording] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree_flatten((args, kwargs))
        key = (len(args), *kwargs, *map(_kind, leaves))
        recording = self.recordings.get(key)
        if recording is None or recording.structure != structure:
            recording = self.recordings[key] = self._recorded(key, leaves, structure)
        for ours, given in zip(recording.inputs, leaves, strict=True):
            if isinstance(ours, Tensor):
                ours.copy_(given)
        return tree_map(lambda value: value.clone() if isinstance(value, Tensor) else value, recording.replay())

    def _recorded(self, key: tuple[Any, ...], leaves: list[Any], structure: Any) -> Recording:
        if len(self.recordings) == MOST:
            raise UserError(
                f"executor.compile = graphs: {MOST} graphs of one block are not enough", todo="executor.compile=none"
            )
        began = time.perf_counter()
        copies = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        inputs = self.inputs.setdefault(key, copies)
        args, kwargs = tree_unflatten(inputs, structure)
        recording = Recording(inputs, structure, self.record(lambda: self.call(*args, **kwargs)))
        RecordedCall.seconds += time.perf_counter() - began
        return recording


def _kind(leaf: Any) -> Any:
    """Return what of an argument a recording depends on: of a tensor all but its values."""
    return (leaf.shape, leaf.stride(), leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else leaf


def _recorder() -> Record:
    """Return what records on the current CUDA device; its graphs work in one pool of memory."""
    pool = torch.cuda.graph_pool_handle()

    def record(call: Callable[[], Any]) -> Replay:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                call()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            outputs = call()

        def replay() -> Any:
            graph.replay()
            return outputs

        return replay

    return record

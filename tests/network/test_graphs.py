"""Recorded blocks: the same bits as called ones where a replay writes over its own outputs, and no mask is a new recording."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from s2g.errors import UserError
from s2g.network.attention import SLOT
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks, PassValues
from s2g.network.evaluate import Evaluator
from s2g.network.graphs import MOST, RecordedCall, Replay, record_blocks
from tests.small_networks import SMALL, latents


def into_buffers(call: Callable[[], Any]) -> Replay:
    """What a CUDA graph does with memory: a replay reads where the recording read and writes where it wrote."""
    outputs = call()

    def replay() -> Any:
        for ours, new in zip(tree_leaves(outputs), tree_leaves(call()), strict=True):
            if isinstance(ours, torch.Tensor):
                ours.copy_(new)
        return outputs

    return replay


def predictions(network: Any, edited: Branch, reuse: bool, seed: int) -> list[torch.Tensor]:
    x = latents(network) + seed
    with Evaluator(network, reuse) as evaluator, torch.inference_mode():
        return list(evaluator((COND, UNCOND, edited), x, 0.5, network.encode([0, 1])).raw.values())


@pytest.mark.parametrize("family", ["sit", "sd3", "flux", "wan"])
def test_recorded_predictions_are_the_called_ones_to_the_bit(family: str) -> None:
    network: Any = SMALL[family]()
    blocks, draw = len(network.blocks), random.Random(0)
    edited = [Branch("cond", DropBlocks(draw.sample(range(blocks), draw.choice([1, 2])))) for _ in range(12)]
    edited += [Branch("cond", PassValues([blocks // 2], text=False))]  # that block runs unrecorded
    edited += [Branch("cond", DropBlocks([0])), Branch("cond", DropBlocks(list(range(1, blocks))))]
    works = [(branch, bool(seed % 2), seed) for seed, branch in enumerate(edited)]
    called = [predictions(network, *work) for work in works]
    record_blocks(network.blocks, into_buffers)
    calls = [getattr(block, SLOT) for block in network.blocks]
    recorded = [predictions(network, *work) for work in works]
    for ours, theirs in zip(recorded, called, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    graphs = [len(call.recordings) for call in calls]
    assert max(graphs) <= 3 and {id(each) for call in calls for each in call.inputs.values()} == {
        id(recording.inputs) for call in calls for recording in call.recordings.values()
    }
    for work in works:
        predictions(network, *work)
    assert graphs == [len(call.recordings) for call in calls] and RecordedCall.seconds > 0


def test_what_a_pass_keeps_is_not_written_over() -> None:
    call = RecordedCall(lambda x, more: (x + more["by"], None), into_buffers, {})
    first, _ = call(torch.zeros(2), more={"by": torch.ones(2)})
    second, none = call(torch.ones(2), more={"by": torch.ones(2)})
    assert first.tolist() == [1, 1] and second.tolist() == [2, 2] and none is None
    assert call(torch.zeros(3), more={"by": torch.ones(3)})[0].tolist() == [1, 1, 1] and len(call.recordings) == 2


def test_an_argument_that_changes_at_every_step_is_refused() -> None:
    call = RecordedCall(lambda x, level: x * level, into_buffers, {})
    for level in range(MOST):
        call(torch.ones(1), float(level))
    with pytest.raises(UserError, match="64 graphs of one block are not enough"):
        call(torch.ones(1), -1.0)

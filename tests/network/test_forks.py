"""Masks that begin alike share their blocks: the same bits, and no block is run twice on the same state."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
import torch

from s2g.network.branch import COND, UNCOND, Branch, DropBlocks, PassValues
from s2g.network.evaluate import Account, Evaluator
from s2g.network.forks import turns
from tests.small_networks import SMALL, all_masks, latents, toy


def subs_of(masks: Collection[Collection[int]], condition: str = "cond") -> tuple[Branch, ...]:
    return tuple(Branch(condition, DropBlocks(mask)) for mask in masks)


def draws(count: int, many: int = 12, seed: int = 0) -> Iterator[list[tuple[int, ...]]]:
    """Sets of 2 to 6 masks of 1 to 4 of `count` blocks, in any order."""
    chance = random.Random(seed)
    for _ in range(many):
        masks = {tuple(sorted(chance.sample(range(count), chance.randint(1, 4)))) for _ in range(chance.randint(2, 6))}
        yield chance.sample(sorted(masks), len(masks))


def tree_work(masks: Sequence[Sequence[int]], count: int) -> Counter[int]:
    """How often each block must run beside the plain pass: once for each different set of blocks dropped before it."""
    states = {(frozenset(b for b in mask if b < i), i) for mask in masks for i in range(count) if i not in mask}
    return Counter(block for dropped, block in states if dropped)


@pytest.mark.parametrize("name", SMALL)
def test_shared_prefixes_change_no_bit_and_run_every_state_once(name: str) -> None:
    network: Any = SMALL[name](passes="separate")
    count, x, conditions = len(network.blocks), latents(network), network.encode([1, 2])
    saved = 0
    for masks in draws(count):
        subs, account = subs_of(masks), Account()
        with Evaluator(network, account=account) as evaluator:
            found = evaluator((COND, *subs), x, 0.7, conditions).raw
        with Evaluator(network, reuse=False) as plain:
            assert all(torch.equal(found[branch], plain((branch,), x, 0.7, conditions).raw[branch]) for branch in subs), masks
        work = tree_work(masks, count)
        assert account.blocks == {i: 1 + work[i] for i in range(count)}, masks
        assert account.evaluations == 1 + len(masks)
        alone = sum(sum(i > min(mask) and i not in mask for i in range(count)) for mask in masks)
        saved += alone - work.total()
    assert saved > 0


def test_a_fork_of_a_batched_pass_is_what_it_was_without_sharing() -> None:
    """cond is half of a batch there: the first fork has its rounding, whether or not later ones go on from its state."""
    network = toy(passes="batched")
    x, conditions = latents(network), network.encode([1, 2])
    subs = subs_of([(1, 4), (1, 6), (1, 6, 7), (3,)])
    with Evaluator(network) as evaluator:
        together = evaluator((COND, UNCOND, *subs), x, 0.7, conditions).raw
        for branch in subs:
            assert torch.equal(together[branch], evaluator((COND, UNCOND, branch), x, 0.7, conditions).raw[branch])


def test_without_reuse_nothing_is_shared() -> None:
    network, account = toy(), Account()
    with Evaluator(network, reuse=False, account=account) as evaluator:
        evaluator((COND, *subs_of([(2, 4), (2, 6)])), latents(network), 0.7, network.encode([1, 2]))
    assert account.blocks == {i: 3 - 2 * (i == 2) - (i in (4, 6)) for i in range(8)}


def test_without_a_plain_pass_masks_still_share_with_each_other() -> None:
    network, account = toy(), Account()
    with Evaluator(network, account=account) as evaluator:
        evaluator(subs_of([(2, 4), (2, 6)]), latents(network), 0.7, network.encode([1, 2]))
    # The first pass runs from the beginning; the second one, from block 4 on.
    assert account.blocks == {0: 1, 1: 1, 3: 1, 4: 1, 5: 2, 6: 1, 7: 2}


def test_conditions_and_edits_of_attention_share_with_their_own_alone() -> None:
    cond, uncond = subs_of([(2, 5), (2, 6)]), subs_of([(2, 7)], "uncond")
    attention = Branch("cond", PassValues({3}, text=True))
    branches = [(branch, branch.edit) for branch in (*uncond, *cond, attention) if branch.edit is not None]
    plain = {("cond", (), 2), ("cond", (), 3), ("uncond", (), 2)}
    found = {turn.branch: turn for turn in turns(branches, plain, share=True)}
    assert found[cond[0]].resume == ("cond", (), 2) and found[cond[0]].record == {5}
    assert found[cond[1]].resume == ("cond", (2,), 5) and not found[cond[1]].record
    assert found[uncond[0]].resume == ("uncond", (), 2) and not found[uncond[0]].record
    assert found[attention].resume == ("cond", (), 3) and not found[attention].record


def test_every_pair_of_masks_of_a_small_network() -> None:
    """All pairs at once would hide a wrong neighbor: each pair on its own, against the count of distinct states."""
    network = toy()
    x, conditions = latents(network), network.encode([1, 2])
    masks = all_masks(len(network.blocks), most=2)[::3]
    with Evaluator(network) as evaluator:
        alone = {branch: evaluator((COND, branch), x, 0.7, conditions).raw[branch] for branch in subs_of(masks)}
        for one in masks:
            for other in masks:
                if one == other:
                    continue
                evaluator.account = Account()
                found = evaluator((COND, *subs_of([one, other])), x, 0.7, conditions).raw
                assert all(torch.equal(found[branch], alone[branch]) for branch in subs_of([one, other]))
                work = tree_work([one, other], 8)
                assert evaluator.account.blocks == {i: 1 + work[i] for i in range(8)}

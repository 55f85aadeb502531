"""Prefix reuse against the plain edited pass: the same bits, or the same up to rounding, in less work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from s2g.errors import UserError
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Account, Evaluator, Predictions
from tests.small_networks import SMALL, all_masks, latents, sd3, toy

LEVELS = (0.9, 0.7, 0.5, 0.3, 0.1)


def sub(*mask: int, condition: str = "cond") -> Branch:
    return Branch(condition, DropBlocks(mask))


def evaluate(
    network: Any, branches: Sequence[Branch], reuse: bool, x: Tensor, level: float = 0.7, account: Account | None = None
) -> Predictions:
    with Evaluator(network, reuse=reuse, account=account) as evaluator:
        return evaluator(branches, x, level, network.encode([1, 2]))


def rounds(network: Any, least: int = 200, together: int = 10) -> Iterator[tuple[tuple[Branch, ...], Tensor, float]]:
    """All masks of 1 to 3 blocks, `together` at a time, at as many points as make `least` of them."""
    subs = tuple(sub(*mask) for mask in all_masks(len(network.blocks)))
    for seed, level in zip(range(-(-least // len(subs))), LEVELS, strict=False):
        for start in range(0, len(subs), together):
            yield subs[start : start + together], latents(network, seed), level


@pytest.mark.parametrize("least", [1, pytest.param(200, marks=pytest.mark.slow("hundreds of masks"))])
@pytest.mark.parametrize("name", SMALL)
def test_reuse_is_the_plain_edited_pass_to_the_bit(name: str, least: int) -> None:
    """cond on its own batch: every mask of up to three blocks, ten forks of one pass at a time."""
    network = SMALL[name](passes="separate")
    count = 0
    for subs, x, level in rounds(network, least):
        reused = evaluate(network, (COND, *subs), True, x, level).raw
        plain = evaluate(network, (COND, *subs), False, x, level).raw
        assert torch.equal(reused[COND], plain[COND])
        for branch in subs:
            assert torch.equal(reused[branch], plain[branch]), (branch, level)
            assert (reused[branch] - reused[COND]).abs().max() > 1e-2, (branch, level)
            count += 1
    assert count >= max(least, len(network.blocks))


@pytest.mark.slow("hundreds of masks")
@pytest.mark.parametrize("name", SMALL)
def test_reuse_from_the_batched_pass_is_equal_up_to_rounding(name: str) -> None:
    network = SMALL[name](passes="batched")
    count = 0
    for subs, x, level in rounds(network):
        reused = evaluate(network, (COND, UNCOND, *subs), True, x, level).raw
        plain = evaluate(network, subs, False, x, level).raw
        for branch in subs:
            torch.testing.assert_close(reused[branch], plain[branch], rtol=0, atol=1e-5)
            count += 1
    assert count >= 200


@pytest.mark.parametrize("name", SMALL)
def test_reuse_in_bfloat16(name: str) -> None:
    """Rounding is 65536 times coarser, so a state that was converted on its way would show."""
    network = SMALL[name](passes="separate")
    network.network.bfloat16()
    x = latents(network)
    subs = [sub(*mask) for mask in all_masks(len(network.blocks))[::4]]
    reused, plain = (evaluate(network, (COND, *subs), reuse, x).raw for reuse in (True, False))
    for branch in subs:
        assert reused[branch].dtype == torch.float32
        assert torch.equal(reused[branch], plain[branch]), branch


@pytest.mark.parametrize("name", SMALL)
def test_batched_conditions_land_where_they_belong(name: str) -> None:
    """SD3's stock order is uncond first: predictions and forks must still be those of their own condition."""
    network, alone = SMALL[name](passes="batched"), SMALL[name](passes="separate")
    x = latents(network)
    branches = (COND, UNCOND, sub(2, 3), sub(2, 3, condition="uncond"), sub(4, condition="uncond"), sub(3))
    together = evaluate(network, branches, True, x).raw
    single = {branch: evaluate(alone, (branch,), False, x).raw[branch] for branch in branches}
    assert set(together) == set(branches)
    for branch in branches:
        torch.testing.assert_close(together[branch], single[branch], rtol=0, atol=1e-5)
    assert (single[COND] - single[UNCOND]).abs().max() > 1e-2
    assert (single[sub(2, 3)] - single[sub(2, 3, condition="uncond")]).abs().max() > 1e-2


@pytest.mark.parametrize("branches", [(COND, UNCOND), (UNCOND, COND)])
@pytest.mark.parametrize("name", ["toy", "sd3"])
def test_conditions_are_batched_in_the_stock_order(name: str, branches: tuple[Branch, ...]) -> None:
    """A batch's rows round differently by their place, so equality with a stock pipeline hangs on it."""
    network = SMALL[name](passes="batched")
    x, conditions = latents(network), network.encode([1, 2])
    stock = torch.cat([conditions[condition].tensors["text"] for condition in network.order])
    seen: list[Tensor] = []
    forward = network.forward
    network.forward = lambda *args: seen.append(args[2].tensors["text"]) or forward(*args)
    evaluate(network, branches, True, x)
    assert len(seen) == 1
    assert torch.equal(seen[0], stock)


@pytest.mark.parametrize("passes", ["batched", "separate"])
@pytest.mark.parametrize("name", SMALL)
def test_the_resumed_pass_runs_only_what_follows(name: str, passes: str) -> None:
    """The account lists, per item, each block once for cond, once for uncond, and for a fork if it comes after it."""
    network = SMALL[name](passes=passes)
    count, x = len(network.blocks), latents(network)
    ran: Counter[int] = Counter()  # counted by the blocks themselves, by how many items they were given
    for index, block in enumerate(network.blocks):

        def note(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], index: int = index) -> None:
            state = next(value for value in (*kwargs.values(), *args) if isinstance(value, Tensor) and value.ndim == 3)
            ran[index] += len(state) // len(x)

        block.register_forward_pre_hook(note, with_kwargs=True)

    for mask in ((0,), (count - 1,), (1, 3), (2, 4, count - 1)):
        for reuse in (True, False):
            ran.clear()
            account = Account()
            evaluate(network, (COND, UNCOND, sub(*mask)), reuse, x, account=account)
            begun = min(mask) if reuse else -1
            expected = {i: 2 + (i > begun and i not in mask) for i in range(count)}
            assert account.blocks == expected
            assert ran == expected
            assert account.evaluations == 3


def test_forks_of_one_evaluation_with_different_first_blocks() -> None:
    network = toy(passes="separate")
    x, account = latents(network), Account()
    subs = (sub(2, 6), sub(5), sub(2), sub(0))
    found = evaluate(network, (COND, *subs), True, x, account=account).raw
    for branch in subs:
        assert torch.equal(found[branch], evaluate(network, (branch,), False, x).raw[branch])
    # (2, 6) is (2) up to block 6, and only block 7 is left of it.
    after = [[7], [6, 7], [3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7]]
    assert account.blocks == Counter([*range(8), *(index for ran in after for index in ran)])


@pytest.mark.parametrize("passes", ["batched", "separate"])
def test_an_edited_uncond_forks_from_uncond_alone(passes: str) -> None:
    network = sd3(passes=passes)
    x = latents(network)
    branch = sub(3, condition="uncond")
    plain = evaluate(network, (branch,), False, x).raw[branch]
    for others, resumed in (((COND, UNCOND), True), ((UNCOND,), True), ((COND,), False), ((), False)):
        account = Account()
        found = evaluate(network, (*others, branch), True, x, account=account).raw
        torch.testing.assert_close(found[branch], plain, rtol=0, atol=1e-5)
        # Without a plain uncond pass there is nothing to fork from, least of all cond's.
        own = {index: index != 3 and (index > 3 or not resumed) for index in range(6)}
        assert account.blocks == {index: len(others) + own[index] for index in range(6) if len(others) + own[index]}


def test_equal_branches_are_evaluated_once() -> None:
    network, account = toy(), Account()
    found = evaluate(network, (COND, sub(3, 1), COND, sub(1, 3), UNCOND, UNCOND), True, latents(network), account=account)
    assert set(found.raw) == {COND, UNCOND, sub(1, 3)}
    assert account.evaluations == 3


def test_every_item_is_its_own() -> None:
    """Items of a batch do not mix: one item alone has the same prediction."""
    network = sd3()
    x, conditions = latents(network, batch=3), network.encode([4, 5, 6])
    with Evaluator(network) as evaluator:
        found = evaluator((COND, UNCOND, sub(2)), x, 0.7, conditions).raw
        alone = evaluator((COND, UNCOND, sub(2)), x[1:2], 0.7, network.encode([5])).raw
    for branch, prediction in alone.items():
        torch.testing.assert_close(found[branch][1:2], prediction, rtol=0, atol=1e-5)


def test_variance_comes_from_the_plain_passes() -> None:
    network = SMALL["dit"](passes="batched")
    found = evaluate(network, (COND, UNCOND, sub(2)), True, latents(network))
    assert set(found.variance) == {COND, UNCOND}
    alone = network.forward(latents(network), 0.7, network.encode([1, 2])["cond"])
    assert alone.variance is not None
    torch.testing.assert_close(found.variance[COND], alone.variance, rtol=0, atol=1e-5)


@pytest.mark.parametrize("passes", ["batched", "separate"])
def test_a_timestep_per_item_goes_with_every_copy(passes: str) -> None:
    network = SMALL["wan"](passes=passes)
    x, conditions = latents(network), network.encode([1, 2])
    times = torch.tensor([900.0, 100.0])
    with Evaluator(network) as evaluator:
        both = evaluator((COND, UNCOND, sub(2)), x, 0.7, conditions, times).raw
        for item, time in enumerate((900.0, 100.0)):
            scalar = evaluator((COND, UNCOND, sub(2)), x, 0.7, conditions, torch.tensor(time)).raw
            for branch in both:
                torch.testing.assert_close(both[branch][item], scalar[branch][item], rtol=0, atol=1e-5)


@pytest.mark.parametrize("reuse", [True, False])
def test_a_missing_block_is_refused_and_the_slots_are_given_back(reuse: bool) -> None:
    network = toy()
    with pytest.raises(UserError, match=r"mask \[1, 8\] names \[8\]"):
        evaluate(network, (COND, sub(1, 8)), reuse, latents(network))
    assert all(block._compiled_call_impl is None for block in network.blocks)


@pytest.mark.slow("torch.compile")
@pytest.mark.parametrize("name", ["toy", "sd3", "flux"])
def test_compiled_blocks_fork_without_new_graphs(name: str) -> None:
    """Both batch sizes, and with them all graphs, are met in the first evaluation; no mask brings another."""
    network = SMALL[name](passes="batched")
    x, graphs = latents(network), []
    masks = all_masks(len(network.blocks), most=2)
    eager = {mask: evaluate(network, (COND, UNCOND, sub(*mask)), True, x).raw[sub(*mask)] for mask in masks}

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    for block in network.blocks:
        block.compile(backend=backend)
    evaluate(network, (COND, UNCOND, sub(0)), False, x)
    count = len(graphs)
    assert count > 0
    for mask in masks:
        assert torch.equal(evaluate(network, (COND, UNCOND, sub(*mask)), True, x).raw[sub(*mask)], eager[mask]), mask
    assert len(graphs) == count
    torch._dynamo.reset()

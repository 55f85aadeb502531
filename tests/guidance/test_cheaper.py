"""S2's cheaper forms: masks of the later half, and one sub-network for several steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from guidance.cases import ALWAYS, predictions, step_at

from s2g.engine.run import describe
from s2g.errors import UserError
from s2g.guidance.assemble import Fit, assemble
from s2g.guidance.base import MaskSampler
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.s2 import S2
from s2g.guidance.s2_naive import NaiveS2
from s2g.guidance.window import Window
from s2g.network.branch import COND, UNCOND, DropBlocks
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.euler import Euler
from s2g.sampling.loop import sample
from s2g.sampling.unit import Unit
from tests.small_networks import SMALL


def masks(method: S2, blocks: int, units: int = 200) -> list[list[int]]:
    found = []
    for unit in range(units):
        step = step_at(unit=unit)
        draws = MaskSampler(0, unit, 5, blocks)
        (edit,) = {b.edit for b in method.branches(type(step)(**{**vars(step), "draws": draws})) if b.edit is not None}
        assert isinstance(edit, DropBlocks)
        found.append(sorted(edit.blocks))
    return found


@pytest.mark.parametrize("blocks", [12, 13])
def test_late_masks_hold_each_block_of_the_later_half_alike_and_no_other(blocks: int) -> None:
    found = masks(S2(draw="late", drop=2), blocks)
    counts = [sum(block in mask for mask in found) for block in range(blocks)]
    later = blocks - blocks // 2
    assert sum(counts[: blocks // 2]) == 0 and all(len(mask) == 2 for mask in found)
    assert all(abs(count - 200 * 2 / later) < 45 for count in counts[blocks // 2 :])  # 6 standard deviations
    assert masks(S2(drop=2), blocks) != found and masks(S2(draw="late", drop=2, protect=(0, 11)), blocks) != found


def test_late_masks_keep_what_is_protected_there_and_too_many_are_refused() -> None:
    assert {block for mask in masks(S2(draw="late", drop=1, protect=(0, 6, 11)), 12) for block in mask} == {7, 8, 9, 10}
    fit = Fit(num_blocks=12)
    late: Any = assemble("s2", {"draw": "late", "drop_blocks": 6}, fit)
    assert late.draw == "late" and late.never(12) == (0, 1, 2, 3, 4, 5)
    with pytest.raises(UserError, match="drop_blocks = 7"):
        assemble("s2", {"draw": "late", "drop_blocks": 7}, fit)
    with pytest.raises(UserError, match=r"guidance.draw = early"):
        S2(draw="early")


def test_a_direction_is_kept_until_the_next_sub_network() -> None:
    method, memory = S2(CFG(3.0), omega=0.5, drop=1, window=ALWAYS, every=3), {}
    direction = torch.tensor(torch.nan)
    for index in range(7):
        step = step_at(index)
        preds = predictions(method, step, seed=index)
        subs = [branch for branch in preds if branch.edit is not None]
        assert len(subs) == (index % 3 == 0)
        if subs:
            direction = preds[subs[0]] - preds[COND]
        base = preds[UNCOND] + 3.0 * (preds[COND] - preds[UNCOND])
        got = method.combine(preds, step, memory)
        torch.testing.assert_close(got, base - 0.5 * direction, rtol=0, atol=0)


def test_the_first_step_of_the_window_has_a_sub_network_whatever_its_number() -> None:
    def fresh(window: Window, every: int, count: int = 10) -> list[int]:
        method = S2(window=window, drop=1, every=every)
        steps = [step_at(index, count) for index in range(count)]
        return [step.index for step in steps if any(branch.edit for branch in method.branches(step))]

    assert fresh(Window(0.1, 0.9), 1) == [1, 2, 3, 4, 5, 6, 7, 8] and fresh(Window(0.1, 0.9), 2) == [1, 3, 5, 7]
    assert fresh(Window(0.2, 0.8), 3) == [2, 5] and fresh(Window(0.0, 0.5, "strict"), 2) == [1, 3]
    assert fresh(Window(0.1, 0.9, "level"), 2) == [2, 4, 6, 8]


def test_before_the_first_direction_the_base_goes_on_alone() -> None:
    method, memory = S2(CFGZero(2.0, zero_init=1), window=ALWAYS, drop=1, every=2), {}
    assert not method.branches(step_at(0))  # the step that was to give it
    step = step_at(1)
    preds = predictions(method, step)
    assert torch.equal(method.combine(preds, step, memory), method.base.combine(preds, step, memory))


def test_a_second_evaluation_of_a_step_does_not_replace_what_is_kept() -> None:
    method, memory = S2(CFG(2.0), omega=1.0, drop=1, window=ALWAYS, every=2), {}
    first, second = (predictions(method, step_at(0, stage=stage), seed=stage) for stage in (0, 1))
    for stage, preds in enumerate((first, second)):
        method.combine(preds, step_at(0, stage=stage), memory)
    kept = step_at(1)
    preds = predictions(method, kept, seed=9)
    (sub,) = (branch for branch in first if branch.edit is not None)
    want = method.base.combine(preds, kept, memory) - (first[sub] - first[COND])
    torch.testing.assert_close(method.combine(preds, kept, memory), want, rtol=0, atol=0)


def test_a_run_evaluates_half_of_the_sub_networks_and_every_1_is_s2_to_the_byte() -> None:
    network: Any = SMALL["sit"]()

    def latents(method: S2) -> tuple[torch.Tensor, int]:
        account = Account()
        with Evaluator(network, account=account) as evaluator:
            made = sample(evaluator, method, Euler(steps=8), network.encode([0, 1]), Unit(0, (0, 1), 0, 0))
        return made.latents, account.evaluations

    plain, whole = latents(S2(CFG(2.0), omega=1.0, drop=2, window=ALWAYS))
    same, _ = latents(S2(CFG(2.0), omega=1.0, drop=2, window=ALWAYS, every=1, draw="any"))
    half, fewer = latents(S2(CFG(2.0), omega=1.0, drop=2, window=ALWAYS, every=2))
    assert (whole, fewer) == (3 * 8, 2 * 8 + 4)
    assert torch.equal(plain, same) and not torch.equal(plain, half)


def test_a_key_has_them_only_where_they_are_not_the_default() -> None:
    assert not {"draw", "every"} & set(describe(S2())) and not {"draw", "every"} & set(describe(NaiveS2()))
    assert describe(S2(every=2)) == {**describe(S2()), "every": 2} and describe(S2(draw="late"))["draw"] == "late"
    with pytest.raises(UserError, match=r"guidance.every = 0"):
        S2(every=0)
    with pytest.raises(UserError, match="no direction to keep"):
        S2(every=2, form="eq20")

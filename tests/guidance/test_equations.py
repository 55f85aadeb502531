"""The equations against independent float64 formulas, and their identities to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2g.errors import UserError
from s2g.guidance.assemble import Fit, assemble
from s2g.guidance.base import MaskSampler, Step
from s2g.guidance.cfg import CFG, cfg
from s2g.guidance.channels import Channels
from s2g.guidance.none import NoGuidance
from s2g.guidance.s2 import S2, s2, s2_eq20
from s2g.guidance.s2_naive import NaiveS2
from s2g.guidance.window import Window, Windowed
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks

ALWAYS = Window(0.0, 1.0)


def step_at(index: int = 5, count: int = 10, unit: int = 0, mask_seed: int = 0, blocks: int = 12) -> Step:
    level, after = 1 - index / count, 1 - (index + 1) / count
    return Step(index, count, level, after, level, 0, torch.zeros(3, 4, 2, 2), MaskSampler(mask_seed, unit, index, blocks))


def predictions(guidance, step: Step, seed: int = 0) -> dict[Branch, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {branch: torch.randn(3, 4, 2, 2, generator=generator) for branch in (COND, UNCOND)}
    for branch in guidance.branches(step):
        found.setdefault(branch, torch.randn(3, 4, 2, 2, generator=generator))
    return found


def test_cfg_and_s2_agree_with_the_paper_in_float64() -> None:
    rng = np.random.default_rng(0)
    c, u, k = rng.normal(size=(3, 2, 5))
    want = (1 - 7.5) * u + 7.5 * c - 0.25 * k + 0.25 * c  # Eq. 4, expanded
    c_, u_, k_ = (torch.from_numpy(a) for a in (c, u, k))
    np.testing.assert_allclose(s2(cfg(c_, u_, 7.5), c_, k_, 0.25).numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(s2_eq20(cfg(c_, u_, 7.5), k_, 0.25).numpy(), want - 0.25 * c, rtol=1e-12)


def test_eq20_shrinks_what_all_predictions_agree_on() -> None:
    same = torch.tensor([2.0, -3.0])
    assert torch.equal(s2(cfg(same, same, 7.5), same, same, 0.25), same)
    assert torch.equal(s2_eq20(cfg(same, same, 7.5), same, 0.25), 0.75 * same)


def test_omega_zero_is_cfg_to_the_bit() -> None:
    step = step_at()
    method = S2(CFG(3.0), omega=0.0, window=ALWAYS)
    preds = predictions(method, step)
    assert torch.equal(method.combine(preds, step, {}), CFG(3.0).combine(preds, step, {}))


def test_scale_one_is_cond_and_asks_for_nothing_else() -> None:
    step = step_at()
    assert tuple(CFG(1.0).branches(step)) == (COND,)
    preds = predictions(CFG(1.0), step)
    assert torch.equal(CFG(1.0).combine(preds, step, {}), preds[COND])
    assert torch.equal(NoGuidance().combine(preds, step, {}), preds[COND])


def test_omega_works_without_cfg() -> None:
    step = step_at()
    method = S2(CFG(1.0), omega=0.5, window=ALWAYS)
    (sub,) = [branch for branch in method.branches(step) if branch.edit]
    preds = predictions(method, step)
    torch.testing.assert_close(method.combine(preds, step, {}), 1.5 * preds[COND] - 0.5 * preds[sub])


def test_naive_with_one_mask_is_s2_to_the_bit_and_with_more_the_mean() -> None:
    step = step_at()
    single, one = S2(CFG(3.0), window=ALWAYS), NaiveS2(CFG(3.0), window=ALWAYS, masks=1)
    preds = predictions(single, step)
    assert tuple(single.branches(step)) == tuple(one.branches(step))
    assert torch.equal(single.combine(preds, step, {}), one.combine(preds, step, {}))
    many = NaiveS2(CFG(3.0), omega=0.5, window=ALWAYS, masks=30)  # more masks than blocks: some are drawn twice
    preds = predictions(many, step)
    mean = sum(preds[branch].double() for branch in many.subs(step)) / 30
    want = preds[UNCOND].double() + 3 * (preds[COND].double() - preds[UNCOND].double()) - 0.5 * (mean - preds[COND].double())
    torch.testing.assert_close(many.combine(preds, step, {}).double(), want, rtol=1e-5, atol=1e-5)


def test_outside_its_window_s2_is_its_base_and_asks_for_no_mask() -> None:
    method = S2(CFG(3.0), window=Window(0.1, 0.9))
    for index in (0, 9):
        step = step_at(index)
        preds = predictions(method, step)
        assert tuple(method.branches(step)) == (COND, UNCOND)
        assert torch.equal(method.combine(preds, step, {}), CFG(3.0).combine(preds, step, {}))
        assert step.draws.drawn == {}


@pytest.mark.parametrize(("steps", "active"), [(28, 23), (50, 40), (10, 8), (250, 200)])
def test_the_central_80_percent_counts_as_the_paper_counts(steps: int, active: int) -> None:
    window = Window(0.1, 0.9)
    assert sum(window.active(step_at(i, steps)) for i in range(steps)) == active


def test_a_window_by_level_is_half_open_below() -> None:
    window = Window(0.2, 0.6, by="level")
    assert [i for i in range(10) if window.active(step_at(i, 10))] == [4, 5, 6, 7]  # levels 0.6, 0.5, 0.4, 0.3; not 0.2


def test_a_window_around_a_method_leaves_cond_alone_outside() -> None:
    method = Windowed(CFG(3.0), Window(0.5, 1.0))
    early, late = step_at(4), step_at(5)
    preds = predictions(method, late)
    assert tuple(method.branches(early)) == (COND,) and tuple(method.branches(late)) == (COND, UNCOND)
    assert torch.equal(method.combine(preds, early, {}), preds[COND])
    assert torch.equal(method.combine(preds, late, {}), CFG(3.0).combine(preds, late, {}))


def test_channels_guides_the_first_and_leaves_the_rest_to_cond() -> None:
    step = step_at()
    method = Channels(S2(CFG(3.0), window=ALWAYS), 3)
    preds = predictions(method, step)
    out, whole = method.combine(preds, step, {}), method.inner.combine(preds, step, {})
    assert torch.equal(out[:, :3], whole[:, :3]) and torch.equal(out[:, 3:], preds[COND][:, 3:])
    assert not torch.equal(whole[:, 3:], preds[COND][:, 3:])


def test_masks_change_with_step_and_unit_repeat_with_the_seed_and_keep_what_is_protected() -> None:
    def masks(seed: int, unit: int) -> list[tuple[int, ...]]:
        return [MaskSampler(seed, unit, step, 12).mask(0, 3, (0, 11)) for step in range(200)]

    assert masks(0, 0) == masks(0, 0)
    assert masks(0, 0) != masks(1, 0) and masks(0, 0) != masks(0, 1)
    assert len(set(masks(0, 0))) > 50  # of 120 possible ones
    assert all(len(set(mask)) == 3 and 0 not in mask and 11 not in mask for mask in masks(0, 0))
    draws = MaskSampler(0, 0, 0, 12)
    assert draws.mask(1, 2, (0,)) == draws.mask(1, 2, (0,)) and draws.drawn == {1: draws.mask(1, 2, (0,))}


@pytest.mark.parametrize("drop", [0, 11])
def test_a_mask_that_cannot_be_drawn_is_refused(drop: int) -> None:
    with pytest.raises(ValueError, match="10 of 12 are not protected"):
        MaskSampler(0, 0, 0, 12).mask(0, drop, (0, 11))


def test_masks_are_uniform_over_subsets() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for step in range(6000):
        mask = MaskSampler(3, 0, step, 5).mask(0, 2, (0,))
        counts[mask] = counts.get(mask, 0) + 1
    assert len(counts) == 6
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5  # chi-square, 5 degrees: p = 0.001


@pytest.mark.parametrize(("blocks", "drop"), [(12, 1), (24, 2), (28, 3), (38, 4), (57, 6), (30, 3), (40, 4)])
def test_ten_percent_of_the_blocks(blocks: int, drop: int) -> None:
    method = assemble("s2", {}, Fit(blocks))
    assert isinstance(method, S2) and (method.drop, method.protect) == (drop, (0,))


def test_presets_lie_between_defaults_and_what_was_typed() -> None:
    fit = Fit(24, {"cfg": {"scale": 2.0}, "s2": {"drop_blocks": 2, "omega": 0.4}})
    assert assemble("s2", {}, fit) == S2(CFG(2.0), omega=0.4, drop=2)
    assert assemble("s2", {"scale": 5, "drop_ratio": 0.2}, fit) == S2(CFG(5.0), omega=0.4, drop=5)
    assert assemble("s2", {"base": "none", "omega": 1}, fit) == S2(NoGuidance(), omega=1.0, drop=2)
    assert assemble("s2", {"window": {"start": 0.2, "stop": 0.8, "by": "level"}}, fit).window == Window(0.2, 0.8, "level")  # type: ignore[union-attr]
    assert assemble("cfg", {"window": [0.2, 0.8], "channels": 3}, fit) == Channels(Windowed(CFG(2.0), Window(0.2, 0.8)), 3)
    preset = Fit(24, {"s2": {"scale": 4.0}})
    assert assemble("s2", {"base_args": {"scale": 9}}, preset).base == CFG(9.0)  # type: ignore[union-attr]
    assert assemble("s2", {}, preset).base == CFG(4.0)  # type: ignore[union-attr]
    assert assemble("s2", {"protect": [0, -1]}, fit).protect == (0, 23)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("s2", {"drop_blocks": 2, "drop_ratio": 0.1}, "both were given"),
        ("s2", {"drop_blocks": 12}, "1 to 11"),
        ("s2", {"drop_blocks": 0}, "1 to 11"),
        ("s2", {"drop_ratio": 1.5}, "between 0 and 1"),
        ("s2", {"omega": "much"}, "guidance.omega = 'much': not a number"),
        ("s2", {"omega": float("nan")}, "not a number"),
        ("s2", {"protect": [40]}, "has no block 40"),
        ("s2", {"window": [0.9, 0.1]}, "start < stop"),
        ("s2", {"window": [0.1]}, "two bounds"),
        ("s2", {"base": "s2"}, "allowed: adg, apg, autoguidance, cfg, cfg_zero, cfgpp, fdg, mambo_g, none"),
        ("s2", {"form": "eq5"}, "eq4, eq20"),
        ("s2_naive", {"masks": 0}, "1 or more"),
        ("s2", {"omgea": 1}, "Did you mean 'omega'?"),
        ("none", {"scale": 3}, "no such key"),
        ("s3", {}, "Did you mean 's2'?"),
        ("cfg", {"channels": 0}, "1 or more"),
    ],
)
def test_bad_knobs_are_named(name: str, typed: dict, said: str) -> None:
    with pytest.raises(UserError) as caught:
        assemble(name, typed, Fit(12))
    assert said in str(caught.value)


def test_equal_drops_are_equal_branches() -> None:
    assert Branch("cond", DropBlocks([3, 1])) == Branch("cond", DropBlocks((1, 3))) != Branch("cond", DropBlocks([1]))

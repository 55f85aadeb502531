"""What each method becomes where it should be another."""

from __future__ import annotations

import pytest
import torch
from guidance.cases import ALWAYS, METHODS, SHAPE, WRAPPERS, edited_branch, flat, predictions, step_at

from s2g.guidance.adg import ADG
from s2g.guidance.apg import APG
from s2g.guidance.autoguidance import WEAK, Autoguidance
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero, optimised_scale
from s2g.guidance.cfgpp import CFGPP
from s2g.guidance.geometry import part_along
from s2g.guidance.none import NoGuidance
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.stg import STG
from s2g.network.branch import COND, UNCOND, DropBlocks

STEP = step_at()
PREDS = predictions(CFG(3.0), STEP)
C, U = PREDS[COND], PREDS[UNCOND]
CLOSE = dict(rtol=1e-12, atol=1e-12)


def run(method, c=C, u=U):
    return method.combine({COND: c, UNCOND: u}, STEP, method.start())


@pytest.mark.parametrize("form", ["paper", "diffusers"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 7.5])
def test_apg_keeping_the_parallel_part_without_cap_and_memory_is_cfg(form: str, scale: float) -> None:
    plain = APG(scale, form=form, eta=1.0, r=0.0, momentum=0.0)
    torch.testing.assert_close(run(plain), run(CFG(scale)), **CLOSE)
    for other in (dict(eta=0.0), dict(r=1.0)):  # and only so
        changed = APG(scale, form=form, **{"eta": 1.0, "r": 0.0, "momentum": 0.0, **other})
        assert scale != 7.5 or not torch.allclose(run(changed), run(CFG(scale)))


def test_apgs_update_is_perpendicular_to_cond_at_eta_zero() -> None:
    update = run(APG(3.0, eta=0.0, r=0.0, momentum=0.0)) - C
    assert (flat(update) * flat(C)).sum(1).abs().max() < 1e-12
    assert flat(update).norm(dim=1).min() > 0.1


@pytest.mark.parametrize("scale", [-1.0, 1.0, 3.5, 7.5])
def test_cfg_zero_where_the_two_velocities_are_parallel(scale: float) -> None:
    """c = a u: then s* = a, and s* u = c leaves nothing to guide: cond, at every scale. It is CFG only if a = 1 (c = u)."""
    for a in (2.0, 0.5, -1.5, 1.0):
        torch.testing.assert_close(optimised_scale(a * U, U), torch.full((3, 1, 1, 1), a).double(), rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(run(CFGZero(scale), c=a * U), a * U, rtol=1e-7, atol=1e-7)
        assert torch.allclose(run(CFG(scale), c=a * U), a * U) == (a == 1 or scale == 1)


@pytest.mark.parametrize("scale", [-1.0, 1.0, 3.5, 7.5])
def test_cfg_zero_is_cfg_where_the_difference_is_perpendicular_to_uncond(scale: float) -> None:
    """s* = <c, u> / |u|^2 is 1 just when <c - u, u> = 0: nothing of u is to be stretched."""
    c = U + (C - part_along(C, U))
    torch.testing.assert_close(optimised_scale(c, U), torch.ones(3, 1, 1, 1).double(), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(run(CFGZero(scale), c=c), run(CFG(scale), c=c), rtol=1e-7, atol=1e-7)
    assert scale == 1 or not torch.allclose(run(CFGZero(scale)), run(CFG(scale)), rtol=1e-3)


@pytest.mark.parametrize("method", [CFG(1.0), CFGZero(1.0), APG(1.0), ADG(1.0), ADG(0.5), Autoguidance(1.0), NoGuidance()])
def test_scale_one_is_cond_to_the_bit_and_one_evaluation(method) -> None:
    assert tuple(method.branches(step_at(5))) == (COND,)
    assert torch.equal(run(method), C)


def test_adg_turns_by_nothing_at_scale_one_and_begins_as_cfg_across() -> None:
    """Next to scale 1 it moves along the part of cond that is not along uncond: c + (w - 1) p t / sin t."""
    small = 1e-6
    across = flat(C - part_along(C, U))
    angle = torch.acos(torch.cosine_similarity(flat(C), flat(U)))[:, None]
    want = small * across * angle / angle.sin()
    torch.testing.assert_close(flat(run(ADG(1 + small)) - C), want, rtol=1e-4, atol=1e-11)


def test_adg_never_grows_past_the_root_of_two() -> None:
    ratio = flat(run(ADG(1000.0))).norm(dim=1) / flat(C).norm(dim=1)
    assert ratio.max() <= 2**0.5


def test_cfgpp_at_lambda_zero_is_uncond_and_at_the_last_step_cfg_at_lambda() -> None:
    assert torch.equal(run(CFGPP(lam=0.0)), U)
    last = step_at(9)
    assert abs(last.next_level) < 1e-12
    method = CFGPP(lam=0.6)
    torch.testing.assert_close(method.combine(PREDS, last, {}), run(CFG(0.6)), **CLOSE)


def test_autoguidance_from_uncond_is_cfg() -> None:
    got = Autoguidance(3.0, weak="a").combine({COND: C, WEAK: U}, STEP, {})
    torch.testing.assert_close(got, run(CFG(3.0)), **CLOSE)


@pytest.mark.parametrize("name", WRAPPERS)
def test_an_edit_that_changes_nothing_leaves_the_base_to_the_bit(name: str) -> None:
    make, _ = WRAPPERS[name]
    method = make(CFG(3.5))
    preds = {**PREDS, edited_branch(method, STEP): C}
    assert torch.equal(method.combine(preds, STEP, {}), run(CFG(3.5)))


def test_s2_slg_and_stg_with_the_same_blocks_and_weight_are_one_sum() -> None:
    s2 = S2(CFG(3.5), omega=0.7, drop=2, window=ALWAYS)
    sub = edited_branch(s2, STEP)
    assert isinstance(sub.edit, DropBlocks)
    preds = {**PREDS, sub: predictions(s2, STEP)[sub]}
    want = s2.combine(preds, STEP, {})
    layers = tuple(sorted(sub.edit.blocks))
    for same in (SLG(CFG(3.5), slg_scale=0.7, layers=layers, window=ALWAYS), STG(CFG(3.5), stg_scale=0.7, layers=layers)):
        torch.testing.assert_close(same.combine(preds, STEP, {}), want, **CLOSE)


def test_where_all_predictions_agree_every_method_but_eq20_and_tag_keeps_them() -> None:
    for name, method in METHODS.items():
        preds = dict.fromkeys(predictions(method, STEP), C)
        got = method.combine(preds, STEP, method.start())
        assert got.shape == SHAPE
        if name == "s2 eq20":
            torch.testing.assert_close(got, 0.6 * C)
        elif name in ("tag", "tag over s2"):
            torch.testing.assert_close(got, 1.3 * C)  # x is 0 here: nothing is along it
        else:
            torch.testing.assert_close(got, C, rtol=1e-7, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}")

"""The methods published after S2, each against a float64 formula written from its source in another form than ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from guidance.cases import ALWAYS, predictions, step_at
from torch.nn import functional as F

from s2g.errors import UserError
from s2g.guidance.autoguidance import Autoguidance
from s2g.guidance.base import Ability, Guidance, Requirement
from s2g.guidance.cfg import CFG, cfg
from s2g.guidance.effective_scale import effective_scale
from s2g.guidance.none import NoGuidance
from s2g.guidance.pag import PAG
from s2g.guidance.pruned import Pruned
from s2g.guidance.rivals.fdg import FDG
from s2g.guidance.rivals.mambo_g import MamboG
from s2g.guidance.rivals.nag import NAG
from s2g.guidance.rivals.rectified_cfgpp import COND_AHEAD, UNCOND_AHEAD, RectifiedCFGPP
from s2g.guidance.rivals.sgg import SGG
from s2g.guidance.rivals.smc_cfg import SMCCFG, switched
from s2g.guidance.rivals.stg_official import STGOfficial
from s2g.guidance.rivals.tag import TAG, amplified
from s2g.guidance.rivals.tcfg import TCFG, damped
from s2g.guidance.rivals.tdg import MID, TDG
from s2g.guidance.s2 import S2
from s2g.guidance.seg import SEG
from s2g.guidance.slg import SLG
from s2g.guidance.stg import STG
from s2g.guidance.window import Window, Windowed
from s2g.models.base import Conditioning
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks, NormalizedAttention

SHAPE = (3, 4, 8, 6)
RNG = np.random.default_rng(2)
C, U, M = (np.array([0.3, 1.0, 4.0]).reshape(3, 1, 1, 1) * RNG.normal(size=(3, *SHAPE)) + 0.5).astype(np.float64)
C = 0.7 * U + C
X = RNG.normal(size=SHAPE)


def rows(a: np.ndarray) -> np.ndarray:
    return a.reshape(len(a), -1)


def combined(method: Guidance, state: dict | None = None, index: int = 5, stage: int = 0, **more: np.ndarray) -> np.ndarray:
    preds = {COND: torch.from_numpy(more.get("c", C)), UNCOND: torch.from_numpy(more.get("u", U)), MID: torch.from_numpy(M)}
    step = step_at(index, stage=stage, x=torch.from_numpy(X))
    return method.combine(preds, step, method.start() if state is None else state).numpy()


def close(got: np.ndarray, want: np.ndarray, rtol: float = 1e-10) -> None:
    np.testing.assert_allclose(rows(got), rows(want.reshape(got.shape)), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("scale", [-0.5, 0.7, 7.5])
def test_tcfg_keeps_of_uncond_what_lies_along_the_first_singular_vector(scale: float) -> None:
    want = np.empty_like(rows(C))
    for b, (c, u) in enumerate(zip(rows(C), rows(U), strict=True)):
        first = np.linalg.svd(np.stack([c, u]), full_matrices=False)[2][0]
        damp = (u @ first) * first
        want[b] = (1 - scale) * damp + scale * c
    close(combined(TCFG(scale)), want)


def test_tcfg_is_cfg_where_uncond_is_a_multiple_of_cond_and_keeps_uncond_where_no_direction_is_first() -> None:
    c = torch.from_numpy(C)
    torch.testing.assert_close(damped(c, -0.4 * c), -0.4 * c)
    e1, e2 = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])  # equally long, orthogonal
    assert torch.equal(damped(e1, e2), e2)
    assert torch.equal(damped(e1, e2 / 2), torch.zeros(1, 2))  # cond is the longer: its direction is first, and u is across


def coarse(x: torch.Tensor) -> torch.Tensor:
    """kornia's pyrdown: 5 x 5 binomial, reflected; then bilinear to half the sides."""
    return F.interpolate(smooth(x), size=[side // 2 for side in x.shape[-2:]], mode="bilinear", align_corners=False)


def fine(x: torch.Tensor) -> torch.Tensor:
    """kornia's pyrup."""
    return smooth(F.interpolate(x, size=[2 * side for side in x.shape[-2:]], mode="bilinear", align_corners=False))


def smooth(x: torch.Tensor) -> torch.Tensor:
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype) / 16
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=x.shape[1])


def test_fdg_with_two_levels_is_one_scale_for_what_a_blur_keeps_and_another_for_the_rest() -> None:
    c, u = (torch.from_numpy(a[..., :8, :6]) for a in (C, U))
    kept = fine(coarse(c - u))
    want = u + 10 * (c - u) + (5 - 10) * kept
    close(combined(FDG(5.0, 10.0)), want.numpy())


def test_fdg_with_three_levels_and_a_weight_of_the_parallel_part() -> None:
    rng = np.random.default_rng(3)
    c, u = (torch.from_numpy(rng.normal(size=(2, 3, 16, 12))) for _ in range(2))

    def levels(x: torch.Tensor) -> list[torch.Tensor]:
        half = coarse(x)
        quarter = coarse(half)
        return [x - fine(half), half - fine(quarter), quarter]

    guided = []
    for a, b, scale in zip(levels(c), levels(u), (9.0, 6.0, 3.0), strict=True):
        d = a - b
        along = torch.stack([(x * y).sum() / (y * y).sum() * y for x, y in zip(d, a, strict=True)])
        guided.append(b + scale * (d - along + 0.3 * along))
    want = fine(fine(guided[2]) + guided[1]) + guided[0]
    preds = {COND: c, UNCOND: u}
    got = FDG(3.0, 9.0, levels=3, parallel=0.3).combine(preds, step_at(), {})
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (2, 3, 1, 9), (1, 2, 2, 2), (2, 4, 3, 8, 6), (1, 1, 60, 104)])
def test_fdg_with_equal_scales_is_cfg_at_any_size_and_frame_by_frame(shape: tuple[int, ...]) -> None:
    preds = predictions(CFG(3.0), step_at(), shape=shape)
    torch.testing.assert_close(FDG(3.0, 3.0).combine(preds, step_at(), {}), cfg(preds[COND], preds[UNCOND], 3.0))
    if len(shape) == 5:
        frames = FDG(2.0, 5.0).combine(preds, step_at(), {}).unbind(2)
        alone = [FDG(2.0, 5.0).combine({b: p[:, :, i] for b, p in preds.items()}, step_at(), {}) for i in range(shape[2])]
        torch.testing.assert_close(torch.stack(frames), torch.stack(alone))


def test_fdg_refuses_latents_without_rows_and_columns() -> None:
    preds = predictions(CFG(3.0), step_at(), shape=(2, 12, 64))
    with pytest.raises(UserError, match="no rows and columns"):
        FDG().combine(preds, step_at(), {})
    assert FDG().asks == {Ability.GRID} and S2(FDG()).asks == {Ability.GRID}


@pytest.mark.parametrize("alpha", [0.1, 8.0])
def test_mambo_g(alpha: float) -> None:
    ratio = np.linalg.norm(rows(C - U), axis=1) / np.linalg.norm(rows(U), axis=1)
    weight = (1 + 9 * np.exp(-alpha * ratio))[:, None]
    close(combined(MamboG(10.0, alpha)), (1 - weight) * rows(U) + weight * rows(C))


@pytest.mark.parametrize(("rate", "gain"), [(5.0, 0.2), (0.05, 0.3), (0.0, 1.0)])
def test_smc_cfg_over_several_steps(rate: float, gain: float) -> None:
    rng = np.random.default_rng(5)
    method = SMCCFG(4.0, rate, gain)
    state, before = method.start(), None
    for index in range(4):
        c, u = rng.normal(size=(2, *SHAPE))
        e = c - u
        before = e if before is None else before
        e = e - gain * np.where((e - before) + rate * before > 0, 1.0, -1.0)
        if index == 0 and rate == 0:
            e = c - u  # the surface is 0 at the first step: nothing is switched
        # A second evaluation within the step builds on the same earlier one, and leaves no trace.
        want, before = u + 4 * e, e
        close(combined(method, state, index=index, c=c, u=u), want)
        combined(method, state, index=index, stage=1, c=-c, u=u)


def test_smc_cfg_without_gain_is_cfg_to_the_bit_and_says_so() -> None:
    difference = torch.from_numpy(C - U)
    assert torch.equal(switched(difference, torch.from_numpy(M), 5.0, 0.0), difference)
    assert np.array_equal(combined(SMCCFG(7.5, gain=0.0)), combined(CFG(7.5)))
    assert SMCCFG(gain=0.0).neutral and not SMCCFG().neutral


def tangential(vector: np.ndarray, x: np.ndarray) -> np.ndarray:
    out = np.empty_like(rows(vector))
    for b, (v, axis) in enumerate(zip(rows(vector), rows(x), strict=True)):
        unit = axis / np.linalg.norm(axis)
        out[b] = (np.eye(len(v)) - np.outer(unit, unit)) @ v
    return out.reshape(vector.shape)


@pytest.mark.parametrize("eta", [0.5, 1.05, 2.0])
def test_tag_is_algorithm_1_on_an_euler_and_on_a_ddim_step(eta: float) -> None:
    """x + P d + eta (1 - P) d with d = x' - x; the base's prediction is CFG's."""
    guided, method = combined(CFG(3.5)), TAG(CFG(3.5), eta=eta)
    got = combined(method)
    for a, b in ((1.0, -0.1), (1.07, -0.31)):  # x' = a x + b prediction: Euler, and a DDIM step on noise
        d = a * X + b * guided - X
        across = tangential(d, X)
        close(a * X + b * got, X + (d - across) + eta * across)


def test_tag_of_cfg_adds_conds_part_along_the_tangential_difference() -> None:
    g = tangential(C - U, X)
    dot = np.einsum("bchw,bchw->b", C, g) / np.einsum("bchw,bchw->b", g, g)
    close(combined(TAG(CFG(3.5), form="cfg", eta=0.8)), combined(CFG(3.5)) + 0.8 * dot.reshape(3, 1, 1, 1) * g)
    assert (TAG(form="cfg").eta, TAG().eta) == (1.0, 1.05)


def test_tag_at_its_neutral_value_is_its_base_to_the_bit() -> None:
    for neutral in (TAG(CFG(3.5), eta=1.0), TAG(CFG(3.5), form="cfg", eta=0.0)):
        assert np.array_equal(combined(neutral), combined(CFG(3.5))) and "it is its base" in neutral.neutral
    guided = torch.from_numpy(C)
    assert amplified(guided, torch.from_numpy(X), 1.0) is guided
    windowed = TAG(CFG(3.5), eta=2.0, window=Window(0.0, 0.3))
    assert np.array_equal(combined(windowed), combined(CFG(3.5))) and not windowed.acts(step_at())
    assert Requirement.EULER_LIKE in TAG().needs and Requirement.EULER_LIKE not in TAG(form="cfg").needs


def test_sgg_is_skip_layer_guidance_over_cfg_in_windows() -> None:
    """Expressible with what there was: cond alone where CFG's window is closed, and the edited pass in the rest."""
    sgg = SGG(4.5, skip_scale=3.0, layers=(7, 8, 9), split=0.5)
    parts = SLG(Windowed(CFG(4.5), Window(0, 0.5)), slg_scale=3.0, layers=(7, 8, 9), window=Window(0.5, 1))
    preds = {b: p for i in (0, 27) for b, p in predictions(sgg, step_at(i, 28)).items()}
    for index in range(28):
        step = step_at(index, 28)
        assert set(sgg.branches(step)) == set(parts.branches(step))
        assert torch.equal(sgg.combine(preds, step, {}), parts.combine(preds, step, {}))
        assert sgg.first(step) == (index < 14)  # official: steps 1 to 14 of 28
    skip = preds[Branch("cond", DropBlocks((7, 8, 9)))]
    torch.testing.assert_close(sgg.combine(preds, step_at(20, 28), {}), 4 * preds[COND] - 3 * skip)


def test_sgg_without_skip_is_cfg() -> None:
    for index in range(10):
        step, preds = step_at(index), predictions(CFG(3.5), step_at())
        whole = SGG(3.5, split=1.0)
        assert torch.equal(whole.combine(preds, step, {}), CFG(3.5).combine(preds, step, {})) and whole.neutral
        half = SGG(3.5, skip_scale=0.0)
        assert torch.equal(half.combine(preds, step, {}), Windowed(CFG(3.5), Window(0, 0.5)).combine(preds, step, {}))
        assert half.branches(step) == Windowed(CFG(3.5), Window(0, 0.5)).branches(step)


def test_the_official_stg_scales_cfg_too_and_skips_in_the_negative_pass() -> None:
    method, step = STGOfficial(CFG(5.0), stg_scale=2.0, layers=(2,)), step_at()
    preds, skipped = predictions(method, step), Branch("uncond", DropBlocks((2,)))
    assert tuple(method.branches(step)) == (COND, UNCOND, skipped)
    c, u, k = (preds[branch] for branch in (COND, UNCOND, skipped))
    torch.testing.assert_close(method.combine(preds, step, {}), 15 * c - 12 * u - 2 * k)
    same = {**preds, skipped: CFG(5.0).combine(preds, step, {})}
    assert torch.equal(method.combine(same, step, {}), same[skipped])


@pytest.mark.parametrize(("balance", "factor"), [(2.4, 1.6), (0.0, 1.0), (2.6, 1.8)])
def test_tdg_is_forward_v3_item_by_item(balance: float, factor: float) -> None:
    want = np.empty_like(rows(C))
    for b, (c, u, m) in enumerate(zip(rows(C), rows(U), rows(M), strict=True)):
        scale = 5.5 * factor
        all_mid = (c - m) * np.linalg.norm(c - u) / np.linalg.norm(c - m)
        want[b] = all_mid * scale / (balance + 1) + (c - u) * scale * balance / (balance + 1) + (m + u) / 2
    close(combined(TDG(5.5, factor, balance)), want)


def test_tdg_without_text_is_cfg_at_a_larger_scale() -> None:
    close(combined(TDG(1.75, mid="mean")), combined(CFG(1.75 * 1.6 + 0.25)))


def test_tdg_jumps_at_scale_1_as_its_documentation_says() -> None:
    preds = predictions(CFG(3.5), step_at())
    at = [TDG(scale, mid="mean").combine(preds, step_at(), {}) for scale in (1.0, 1.0001)]
    scales = [effective_scale(guided, preds[COND], preds[UNCOND]) for guided in at]
    torch.testing.assert_close(scales[0], torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(scales[1], torch.full((3,), 1.0001 * 1.6 + 0.25, dtype=torch.float64))


def test_a_text_halfway_has_every_second_token_of_the_other() -> None:
    words = torch.arange(12).view(2, 6)
    text, pooled = torch.randn(2, 5, 3), torch.randn(2, 4)
    cond, uncond = (Conditioning({"w": s * words, "t": s * text, "p": s * pooled}) for s in (1, -1))
    mixed = cond.halfway(uncond).tensors
    assert mixed["w"][0].tolist() == [0, -1, 2, -3, 4, -5]
    assert torch.equal(mixed["t"][:, 0::2], text[:, 0::2]) and torch.equal(mixed["t"][:, 1::2], -text[:, 1::2])
    assert torch.equal(mixed["p"], torch.zeros(2, 4))
    swapped = cond.with_text_of(uncond).tensors
    assert torch.equal(swapped["w"], -words) and torch.equal(swapped["t"], -text) and torch.equal(swapped["p"], pooled)
    assert Conditioning({"labels": torch.tensor([1, 2])}).texts == ()


def test_rectified_cfgpp_in_its_two_forms() -> None:
    step = replace(step_at(4), x=torch.from_numpy(X))
    ahead = {COND: torch.from_numpy(C), COND_AHEAD: torch.from_numpy(U), UNCOND_AHEAD: torch.from_numpy(M)}
    got = RectifiedCFGPP(2.5, gamma=0.7).combine(ahead, step, {})
    close(got.numpy(), C + 2.5 * (1 - step.level) ** 0.7 * (U - M))
    for form, share, level in (("paper", 0.5, (step.level + step.next_level) / 2), ("code", 1.0, step.level)):
        point, at = RectifiedCFGPP(2.5, form=form).second(ahead, step)
        close(point.numpy(), X + share * (step.next_level - step.level) * C)
        assert at == pytest.approx(level)
    none = RectifiedCFGPP(0.0)
    assert none.branches(step) == (COND,) and none.combine(ahead, step, {}) is ahead[COND] and none.neutral


def test_s2_around_rectified_cfgpp_asks_for_its_second_point() -> None:
    method, step = S2(RectifiedCFGPP(2.5), omega=0.4, window=ALWAYS), step_at()
    point, at = method.second(predictions(method, step), step)
    assert at == pytest.approx((step.level + step.next_level) / 2) and point.shape == step.x.shape
    assert [branch.point for branch in method.branches(step)] == [0, 1, 1, 0, 0]


def test_nag_stands_in_for_cond_in_any_base() -> None:
    step, branch = step_at(), Branch("cond", NormalizedAttention(5.0, 2.5, 0.25))
    assert NAG().led(COND) == branch and NAG().led(UNCOND) == UNCOND
    for base in (
        NoGuidance(),
        CFG(3.5),
        S2(CFG(3.5), window=ALWAYS),
        SLG(CFG(3.5), layers=(2, 3), window=ALWAYS),
        STG(CFG(3.5), layers=(2,)),
        STGOfficial(CFG(3.5), layers=(2,)),
        Pruned(CFG(3.5), layers=(4,)),
        RectifiedCFGPP(2.5),
        Windowed(CFG(3.5), Window(0.0, 0.6)),
    ):
        method, plain = NAG(base), predictions(base, step)
        assert method.acts(step) and len(method.branches(step)) == len(base.branches(step))
        assert all(isinstance(b.edit, NormalizedAttention) == (b.condition == "cond") for b in method.branches(step))
        named = {b: (NormalizedAttention(5.0, 2.5, 0.25, b.edit.dropped if b.edit else frozenset())) for b in plain}
        led = {replace(b, edit=named[b]) if b.condition == "cond" else b: p for b, p in plain.items()}
        assert torch.equal(method.combine(led, step, {}), base.combine(plain, step, {}))
    preds = predictions(CFG(3.5), step)
    for same in (NAG(CFG(3.5), nag_scale=1.0), NAG(CFG(3.5), alpha=0.0), NAG(CFG(3.5), window=Window(0.6, 1.0))):
        assert tuple(same.branches(step)) == (COND, UNCOND)
        assert torch.equal(same.combine(preds, step, {}), CFG(3.5).combine(preds, step, {}))
    assert NAG().asks == {Ability.TEXT} and TAG(NAG()).asks == {Ability.TEXT}


def test_nag_over_rectified_cfgpp_predicts_its_second_point_from_the_led_pass() -> None:
    base, step = RectifiedCFGPP(2.5), step_at()
    method, cond = NAG(base), torch.randn(step.x.shape)
    (point, at), (want, level) = method.second({method.led(COND): cond}, step), base.second({COND: cond}, step)
    assert torch.equal(point, want) and at == level


@pytest.mark.parametrize("base", [PAG(), SEG(), STG(mode="attention"), Windowed(PAG(), Window(0.0, 0.5)), TAG(SEG())])
def test_nag_refuses_a_base_that_edits_attention_itself(base: Guidance) -> None:
    with pytest.raises(UserError, match=r"guidance = nag: its base evaluates cond with .* cannot be led away"):
        NAG(base)


def test_nag_refuses_a_weaker_network_and_another_nag() -> None:
    with pytest.raises(UserError, match="its base evaluates cond with WeakModel"):
        NAG(Autoguidance(2.0, "builtin"))
    with pytest.raises(UserError, match="its base evaluates cond with NormalizedAttention"):
        NAG(NAG()).branches(step_at())


ONE = [TCFG(1.0), FDG(1.0, 1.0), MamboG(1.0), SMCCFG(1.0), TDG(1.0), RectifiedCFGPP(0.0)]


@pytest.mark.parametrize("method", ONE, ids=lambda method: type(method).__name__)
def test_scale_one_is_cond_to_the_bit_and_one_evaluation(method: Guidance) -> None:
    assert tuple(method.branches(step_at())) == (COND,)
    assert np.array_equal(combined(method), C)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MamboG(alpha=0.0), "guidance=cfg is alpha 0"),
        (lambda: SMCCFG(gain=-1.0), "0 or more"),
        (lambda: SGG(layers=()), "at least one block"),
        (lambda: SGG(split=0.0), "above 0, at most 1"),
        (lambda: FDG(levels=1), "guidance=cfg is one level"),
        (lambda: TAG(form="both"), "step, cfg"),
        (lambda: TDG(mid="half"), "tokens, mean"),
        (lambda: TDG(balance=-1.0), "0 or more"),
        (lambda: NAG(tau=0.5), "1 or more"),
        (lambda: NAG(alpha=2.0), "0 to 1"),
        (lambda: RectifiedCFGPP(form="mine"), "paper, code"),
        (lambda: RectifiedCFGPP(gamma=-1.0), "a constant weight"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(make, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


def test_defaults_are_their_sources() -> None:
    assert (TCFG().scale, MamboG().scale, MamboG().alpha, FDG().scale, FDG().high_scale) == (7.0, 10.0, 8.0, 5.0, 10.0)
    assert (SMCCFG().scale, SMCCFG().rate, SMCCFG().gain) == (7.5, 5.0, 0.2)
    assert (SGG().scale, SGG().skip_scale, SGG().split) == (4.5, 3.0, 0.5)
    assert (TDG().scale, TDG().factor, TDG().balance) == (5.5, 1.6, 2.4)
    assert (NAG().nag_scale, NAG().tau, NAG().alpha, STGOfficial().stg_scale) == (5.0, 2.5, 0.25, 2.0)
    assert (RectifiedCFGPP().lam, RectifiedCFGPP().form) == (4.5, "paper")

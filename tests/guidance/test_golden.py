"""Every method's result against a float64 formula written from the sources, in another algebraic form than ours.

All go through `combine`, so that a swapped branch, a sign, a factor, a wrong axis or a wrong order of momentum and cap
shows. Items differ in length, so that anything measured over the batch instead of the item shows too.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from guidance.cases import ALWAYS, SHAPE, WRAPPERS, edited_branch, predictions, step_at

from s2g.guidance.adg import ADG, adg
from s2g.guidance.apg import APG
from s2g.guidance.autoguidance import WEAK, Autoguidance
from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero, optimised_scale
from s2g.guidance.pag import PAG
from s2g.guidance.s2 import S2
from s2g.guidance.seg import SEG
from s2g.guidance.slg import SLG
from s2g.guidance.stg import STG
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, DropBlocks, PassValues, SmoothQueries

RNG = np.random.default_rng(1)
STRETCH = np.array([0.3, 1.0, 4.0]).reshape(3, 1, 1, 1)  # items of different lengths
C, U = (STRETCH * RNG.normal(size=(2, *SHAPE)) + 0.5).astype(np.float64)
C = 0.6 * U + C  # correlated, as predictions are
SCALES = [-0.5, 0.0, 0.7, 1.5, 7.5]


def combined(method: Guidance, c: np.ndarray = C, u: np.ndarray = U, state: dict | None = None, **where: int) -> np.ndarray:
    preds = {COND: torch.from_numpy(c), UNCOND: torch.from_numpy(u)}
    return method.combine(preds, step_at(**where), method.start() if state is None else state).numpy()


def rows(a: np.ndarray) -> np.ndarray:
    return a.reshape(len(a), -1)


def close(got: np.ndarray, want: np.ndarray, rtol: float = 1e-10) -> None:
    assert got.shape == SHAPE
    np.testing.assert_allclose(got, want.reshape(SHAPE), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("scale", SCALES)
def test_cfg(scale: float) -> None:
    close(combined(CFG(scale)), (1 - scale) * U + scale * C)


@pytest.mark.parametrize("rescale", [0.3, 1.0])
def test_rescaled_cfg_has_conds_spread_item_by_item(rescale: float) -> None:
    g = rows(-6.5 * U + 7.5 * C)
    off = [a - a.mean(axis=1, keepdims=True) for a in (rows(C), g)]
    c_spread, g_spread = (np.sqrt(np.einsum("bn,bn->b", a, a))[:, None] for a in off)  # the divisor n - 1 cancels
    got = combined(CFG(7.5, rescale=rescale))
    close(got, rescale * g * c_spread / g_spread + (1 - rescale) * g)
    if rescale == 1:
        np.testing.assert_allclose(rows(got).std(axis=1), rows(C).std(axis=1))


def apg_reference(
    steps: list[tuple[np.ndarray, np.ndarray]], scale: float, eta: float, r: float, beta: float, form: str
) -> list[np.ndarray]:
    """facts of arXiv 2410.02416: the memory as a closed sum, the projection as a matrix per item."""
    out = []
    for k, (c, u) in enumerate(steps):
        m = sum(beta ** (k - j) * rows(cj - uj) for j, (cj, uj) in enumerate(steps[: k + 1]))
        length = np.sqrt((m * m).sum(1, keepdims=True))
        d = m if r == 0 else np.where(length <= r, m, m * r / length)
        update = np.empty_like(d)
        for b, axis in enumerate(rows(c)):
            away = np.eye(len(axis)) - (1 - eta) * np.outer(axis, axis) / (axis @ axis)
            update[b] = away @ d[b]
        out.append(rows(c) + (scale - 1) * update if form == "paper" else rows(u) + scale * update)
    return out


@pytest.mark.parametrize("form", ["paper", "diffusers"])
@pytest.mark.parametrize(("eta", "beta"), [(0.0, -0.5), (0.3, 0.4), (1.0, 0.0), (-0.5, -0.75)])
@pytest.mark.parametrize("r", [0.0, 3.0])
def test_apg_over_several_steps(form: str, eta: float, beta: float, r: float) -> None:
    rng = np.random.default_rng(7)
    steps = [tuple(STRETCH * rng.normal(size=(2, *SHAPE))) for _ in range(4)]
    method = APG(6.0, form=form, eta=eta, r=r, momentum=beta)
    assert method.space is (Space.DENOISED if form == "paper" else Space.RAW)
    state = method.start()
    wanted = apg_reference(steps, 6.0, eta, r, beta, form)
    lengths = [np.linalg.norm(rows(c - u), axis=1) for c, u in steps]
    assert r == 0 or any((at < r).any() and (at > r).any() for at in lengths)  # the cap bites for some items only
    for index, ((c, u), want) in enumerate(zip(steps, wanted, strict=True)):
        close(combined(method, c, u, state, index=index), want)


def test_apgs_defaults_are_the_papers_and_diffusers() -> None:
    """Its SDXL row is (r 15, momentum -0.5, eta 0); 15 is 0.059 root mean square on SDXL's 4 x 128 x 128 numbers."""
    paper, ported = APG(), APG(form="diffusers")
    assert (paper.eta, paper.r, paper.momentum) == (0.0, None, -0.5)
    assert paper.r_rms == pytest.approx(15 / math.sqrt(4 * 128 * 128), abs=5e-4)
    assert (ported.eta, ported.r, ported.r_rms, ported.momentum) == (1.0, 15.0, None, 0.0)


def test_apgs_cap_by_root_mean_square_is_the_norm_over_the_root_of_the_size() -> None:
    r = 0.2 * math.sqrt(math.prod(SHAPE[1:]))
    by_rms, by_norm = APG(5.0, r_rms=0.2, momentum=0.0), APG(5.0, r=r, momentum=0.0)
    close(combined(by_rms), combined(by_norm))
    assert not np.allclose(combined(by_rms), combined(APG(5.0, r=0.0, momentum=0.0)))


@pytest.mark.parametrize("scale", SCALES)
def test_cfg_zero(scale: float) -> None:
    want, stars = np.empty_like(rows(C)), []
    for b, (c, u) in enumerate(zip(rows(C), rows(U), strict=True)):
        star = np.linalg.lstsq(u[:, None], c, rcond=None)[0]  # the s that brings s u nearest to c
        want[b] = scale * c + (1 - scale) * star * u
        stars.append(star.item())
    close(combined(CFGZero(scale)), want, rtol=1e-7)  # the official 1e-8 in the divisor
    np.testing.assert_allclose(optimised_scale(torch.from_numpy(C), torch.from_numpy(U)).flatten(), stars, rtol=1e-7)
    assert CFGZero().space is Space.VELOCITY


def test_cfg_zero_stands_still_for_its_first_steps_whatever_their_number() -> None:
    still = [index for index in range(10) if not CFGZero(3.5, zero_init=2).branches(step_at(index))]
    assert still == [0, 1]
    assert [len(CFGZero(3.5, zero_init=0).branches(step_at(0))), len(CFGZero(3.5).branches(step_at(0)))] == [2, 0]
    assert list(CFGZero(1.0, zero_init=1).branches(step_at(1))) == [COND]


def plane(c: np.ndarray, u: np.ndarray, scale: float, cap: float) -> tuple[np.ndarray, float]:
    """ADG drawn in the plane of the two: c turned on from its own angle by t', e2 being c's direction away from u."""
    e1 = u / np.linalg.norm(u)
    e2 = c - (c @ e1) * e1
    e2 /= np.linalg.norm(e2)
    angle = np.arccos(c @ e1 / np.linalg.norm(c))
    turn = min((scale - 1) * angle, cap)
    return np.cos(turn) * c + np.sin(turn) * np.linalg.norm(c) * e2, angle


@pytest.mark.parametrize("towards", [0.6, -0.9, 3.0])  # acute, obtuse, nearly parallel
@pytest.mark.parametrize(("scale", "degrees"), [(1.4, 60.0), (4.0, 60.0), (4.0, 20.0), (50.0, 90.0)])
def test_adg(scale: float, degrees: float, towards: float) -> None:
    c = towards * U + 0.5 * C
    cap = math.radians(degrees)
    pairs = [plane(a, b, scale, cap) for a, b in zip(rows(c), rows(U), strict=True)]
    close(combined(ADG(scale, cap=degrees), c), np.stack([out for out, _ in pairs]))
    assert ADG().space is Space.DENOISED


def official_adg(c: np.ndarray, u: np.ndarray, scale: float) -> np.ndarray:
    """The expression of ADG_SD3.py for one item, its two offsets included."""
    weight = max(scale - 1, 0) + 1e-3
    theta = np.arccos(c @ u / (np.linalg.norm(c) * np.linalg.norm(u)))
    new = np.clip(weight * theta, -3.14 / 3, 3.14 / 3)
    difference = c - u
    perpendicular = difference - (difference @ u) / (u @ u) * u
    if np.sin(theta) > 1e-3:
        return np.cos(new) * c + perpendicular * np.sin(new) / np.sin(theta)
    return np.cos(new) * c + perpendicular * weight


@pytest.mark.parametrize("near", [1.0, 0.1, 1e-3, 4e-4, 1e-5])  # from wide angles to below the sine where turning is straight
@pytest.mark.parametrize("scale", [1.5, 4.0, 8.0])
def test_adg_is_the_official_code_but_for_its_offsets(scale: float, near: float) -> None:
    for sign in (1, -1):  # the second: nearly opposite
        c = sign * U + near * (C - U)
        want = np.stack([official_adg(a, b, scale) for a, b in zip(rows(c), rows(U), strict=True)])
        offset = adg(torch.from_numpy(c), torch.from_numpy(U), scale + 1e-3, 3.14 / 3).numpy()
        np.testing.assert_allclose(rows(offset), want, rtol=1e-8, atol=1e-8)
        ours = combined(ADG(scale), c)
        assert np.abs(rows(ours) - want).max() <= 3e-3 * np.abs(want).max()


@pytest.mark.parametrize("scale", SCALES)
def test_autoguidance(scale: float) -> None:
    preds = {COND: torch.from_numpy(C), WEAK: torch.from_numpy(U)}
    method = Autoguidance(scale, weak="a.safetensors")
    assert tuple(method.branches(step_at())) == (COND, WEAK)
    close(method.combine(preds, step_at(), {}).numpy(), (1 - scale) * U + scale * C)


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_step_away_from_their_edit(name: str) -> None:
    """u + w (c - u) + g (c - k), as weights: (1 - w) u + (w + g) c - g k."""
    make, weight = WRAPPERS[name]
    method, step = make(CFG(3.5)), step_at()
    preds = predictions(method, step)
    c, u, k = (preds[branch].numpy() for branch in (COND, UNCOND, edited_branch(method, step)))
    close(method.combine(preds, step, {}).numpy(), -2.5 * u + (3.5 + weight) * c - weight * k)
    alone = make(CFG(1.0))
    close(alone.combine(preds, step, {}).numpy(), (1 + weight) * c - weight * k)


def test_eq20_lacks_the_cond_that_eq4_gives_back() -> None:
    method, step = S2(CFG(3.5), omega=0.4, window=ALWAYS, form="eq20"), step_at()
    preds = predictions(method, step)
    c, u, k = (preds[branch].numpy() for branch in (COND, UNCOND, edited_branch(method, step)))
    close(method.combine(preds, step, {}).numpy(), -2.5 * u + 3.5 * c - 0.4 * k)


def test_edits_are_what_each_method_is_named_for() -> None:
    layers = (2, 5)
    assert SLG(layers=layers).edit == DropBlocks(layers) == STG(layers=layers).edit
    assert STG(layers=layers, mode="attention").edit == PassValues(layers, text=False)
    assert PAG(layers=layers).edit == PassValues(layers, text=True)
    assert SEG(layers=layers, sigma=3.0).edit == SmoothQueries(layers, 3.0)
    assert SEG(layers=layers, sigma=10_000.0) == SEG(layers=layers)  # one infinite blur, one key


def test_defaults_are_their_sources() -> None:
    assert (SLG().slg_scale, SLG().window.start, SLG().window.stop, SLG().window.by) == (2.8, 0.01, 0.2, "strict")
    assert (STG().stg_scale, STG().mode, PAG().pag_scale, SEG().seg_scale) == (1.0, "residual", 3.0, 3.0)
    assert all(method().window == ALWAYS for method in (STG, PAG, SEG))
    assert (ADG().scale, ADG().cap, CFGZero().zero_init, Autoguidance().scale) == (4.0, 60.0, 1, 2.1)

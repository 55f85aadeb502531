"""Inputs at the edge: every method stays finite, and is what it should be there."""

from __future__ import annotations

import pytest
import torch
from guidance.cases import METHODS, SHAPE, fitted, predictions, step_at, x_of
from torch import Tensor

from s2g.guidance.adg import ADG
from s2g.guidance.apg import APG
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.effective_scale import effective_scale
from s2g.network.branch import COND, UNCOND

NAMES = pytest.mark.parametrize("name", METHODS)


def run(name: str, preds: dict, **where: int) -> Tensor:
    method, step = METHODS[name], step_at(**where, x=x_of(preds))
    state = method.start()
    for index in (1, 2):  # a memory that was filled by the same
        got = method.combine(preds, step_at(index, x=x_of(preds)), state)
    got = method.combine(preds, step, state)
    assert got.shape == preds[COND].shape and got.dtype == preds[COND].dtype
    assert torch.isfinite(got).all(), name
    return got


def like(name: str, cond: Tensor, uncond: Tensor, other: Tensor | None = None) -> dict:
    """Predictions with these two, and `other` (or half of cond) for the edited or weak pass."""
    found = dict.fromkeys(predictions(METHODS[name], step_at()), 0.5 * cond if other is None else other)
    for index in (1, 2):
        found |= dict.fromkeys(METHODS[name].branches(step_at(index)), 0.5 * cond if other is None else other)
    return {**found, COND: cond, UNCOND: uncond}


def normal(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


ZERO = torch.zeros(SHAPE)
PAIRS = {
    "cond is uncond": (normal(), normal()),
    "cond is uncond but for rounding": (normal(), normal() * (1 + 1e-7)),
    "uncond is zero": (normal(), ZERO),
    "cond is zero": (ZERO, normal()),
    "both are zero": (ZERO, ZERO),
    "opposite": (normal(), -normal()),
    "opposite but for rounding": (normal(), -normal() * (1 + 1e-7)),
    "constant": (torch.full(SHAPE, 2.0), torch.full(SHAPE, -1.0)),
    "huge": (1e30 * normal(), 1e30 * normal(seed=1)),
    "huge and ordinary": (1e30 * normal(), normal(seed=1)),
    "tiny": (1e-30 * normal(), 1e-30 * normal(seed=1)),
    "subnormal": (1e-41 * normal(), 1e-41 * normal(seed=1)),
}


@NAMES
@pytest.mark.parametrize("pair", PAIRS)
def test_every_method_is_finite(name: str, pair: str) -> None:
    cond, uncond = PAIRS[pair]
    guided = run(name, like(name, cond, uncond))
    scale = effective_scale(guided, cond, uncond)
    if torch.equal(cond, uncond):
        assert scale.isnan().all()
    else:
        assert scale.isfinite().all()


@NAMES
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_method_keeps_the_dtype_and_is_near_float64(name: str, dtype: torch.dtype) -> None:
    """The engine hands over fp32; halves are not refused, and lose no more than a few of their own roundings."""
    half = like(name, normal().to(dtype), normal(seed=1).to(dtype), normal(seed=2).to(dtype))
    want = run(name, {branch: value.double() for branch, value in half.items()})
    got = run(name, half).double()
    assert (got - want).abs().max() <= 40 * torch.finfo(dtype).eps * want.abs().max()


@NAMES
@pytest.mark.parametrize("shape", [(1, 4, 2, 2), (2, 1), (1, 1), (3, 1, 1, 1), (2, 4, 3, 2, 2)])
@pytest.mark.filterwarnings("ignore:std")  # torch on the spread of a single number, which is then taken as none
def test_one_item_one_number_and_video(name: str, shape: tuple[int, ...]) -> None:
    shape = fitted(name, shape)
    run(name, like(name, normal(shape), normal(shape, 1)))


def test_a_sum_over_a_large_latent_keeps_its_digits() -> None:
    """2 million numbers of the same sign and a small difference: fp32 sums would miss the scale s* and the cap."""
    n = 2_000_000
    u = torch.full((1, n), 0.1)
    c = u * 1.001
    exact = (c.double() * u.double()).sum() / (u.double() * u.double()).sum()
    got = CFGZero(3.5).combine({COND: c, UNCOND: u}, step_at(), {})
    torch.testing.assert_close(got.double(), 3.5 * c.double() - 2.5 * exact * u.double(), rtol=3e-7, atol=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_adg_beside_an_angle_of_nothing_or_of_a_half_turn(sign: int) -> None:
    """arccos of a rounded cosine is nan, or the root of the rounding, there."""
    c = normal()
    u = sign * c * (1 + 1e-7)
    got = ADG(8.0).combine({COND: c, UNCOND: u}, step_at(), {})
    want = c if sign > 0 else 0.5 * c  # a half turn is cut to the cap: cos 60 degrees, and no direction to turn into
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_a_zero_prediction_is_nothing_to_project_on() -> None:
    c, u = normal(), normal(seed=1)
    plain = APG(3.0, eta=0.0, r=0.0, momentum=0.0)
    torch.testing.assert_close(plain.combine({COND: ZERO, UNCOND: u}, step_at(), {}), -2 * u)
    torch.testing.assert_close(CFGZero(3.0).combine({COND: c, UNCOND: ZERO}, step_at(), {}), 3 * c)
    whole = torch.arange(16.0).view(1, 16)
    flat = CFG(3.0, rescale=1.0).combine({COND: whole, UNCOND: 1.5 * whole}, step_at(), {})  # u + 3 (c - u) = 0
    assert torch.equal(flat, torch.zeros_like(whole))

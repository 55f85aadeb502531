"""The effective guidance scale: what it is for each method, and where there is none."""

from __future__ import annotations

import math

import pytest
import torch
from guidance.cases import ALWAYS, METHODS, edited_branch, flat, predictions, step_at

from s2g.guidance.cfg import CFG
from s2g.guidance.cfgpp import CFGPP, effective_weight
from s2g.guidance.effective_scale import EffectiveScale, effective_scale
from s2g.guidance.s2 import S2
from s2g.models.convention import Flow
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND

CLOSE = dict(rtol=1e-9, atol=1e-9)


def scale_of(method, preds, step=None):
    step = step or step_at()
    return effective_scale(method.combine(preds, step, method.start()), preds[COND], preds[UNCOND])


@pytest.mark.parametrize("scale", [-1.0, 0.0, 1.0, 7.5])
def test_cfgs_is_its_scale_for_every_item(scale: float) -> None:
    got = scale_of(CFG(scale), predictions(CFG(scale), step_at()))
    assert got.shape == (3,) and got.dtype == torch.float64
    torch.testing.assert_close(got, torch.full((3,), scale, dtype=torch.float64), **CLOSE)


def test_cfgpps_is_its_weight_at_that_step() -> None:
    method, step = CFGPP(lam=0.6), step_at(3)
    want = effective_weight(0.6, step.level, step.next_level, "noise")
    torch.testing.assert_close(
        scale_of(method, predictions(method, step), step), torch.full((3,), want, dtype=torch.float64), **CLOSE
    )


def test_s2s_is_the_bases_and_what_its_own_term_has_along_cond_minus_uncond() -> None:
    method, step = S2(CFG(3.5), omega=0.4, window=ALWAYS), step_at()
    preds = predictions(method, step)
    d, k = flat(preds[COND] - preds[UNCOND]), flat(preds[edited_branch(method, step)])
    want = 3.5 + 0.4 * ((flat(preds[COND]) - k) * d).sum(1) / (d * d).sum(1)
    torch.testing.assert_close(scale_of(method, preds, step), want, **CLOSE)
    assert (want - 3.5).abs().min() > 0.01


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if UNCOND in method.branches(step_at())])
def test_it_is_the_same_in_every_space(name: str) -> None:
    """Measured where the method combines, or after conversion: one is an affine map of the other."""
    method = METHODS[name]
    preds = predictions(method, step_at())
    guided = method.combine(preds, step_at(), method.start())
    values = guided, preds[COND], preds[UNCOND]
    x, flow = torch.randn(guided.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5)), Flow()
    denoised = [flow.to(Space.DENOISED, value, x, 0.7) for value in values]
    torch.testing.assert_close(effective_scale(*denoised), effective_scale(*values), **CLOSE)


def test_what_is_off_the_line_does_not_count() -> None:
    c, u = torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2)
    assert effective_scale(torch.tensor([[6.0, 100.0]]), c, u).item() == 3.0


def test_nan_exactly_where_cond_equals_uncond() -> None:
    c = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    u = c.clone()
    u[1, 2] += 1e-6  # the least that fp32 tells apart here
    u[3] -= 1
    for guided in (c, c + 1, torch.zeros_like(c)):
        assert effective_scale(guided, c, u).isnan().tolist() == [True, False, True, False]


def test_a_units_record_means_over_items_and_evaluations_and_says_what_it_left_out() -> None:
    scales = EffectiveScale()
    scales.add(torch.tensor([1.0, 3.0]))
    scales.add(None)  # no uncond, or no movement
    scales.add(torch.tensor([math.nan, 7.0]))
    scales.add(torch.tensor([math.nan, math.nan]))
    assert scales.facts() == {
        "mean": round(11 / 3, 6),
        "evaluations": 4,
        "left_out": 2,
        "by_evaluation": [2.0, None, 7.0, None],
    }
    assert EffectiveScale().facts()["mean"] is None


def test_a_unit_split_in_two_has_the_record_of_the_whole() -> None:
    scales = torch.tensor([[1.0, 2.0, 6.0], [4.0, math.nan, 5.0]])
    whole, merged = EffectiveScale(), EffectiveScale()
    for row in scales:
        whole.add(row)
    for part in (slice(0, 2), slice(2, 3)):
        piece = EffectiveScale()
        for row in scales:
            piece.add(row[part])
        merged.merge(piece)
    assert merged == whole
    merged.merge(EffectiveScale([1.0], [1]))  # an adaptive solver evaluated these items once
    assert merged.counts == [4, 2] and merged.sums == [10.0, 9.0]

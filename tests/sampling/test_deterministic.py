"""Deterministic samplers on the exact flow of a Gaussian: order, tolerance, zero movement, denoised estimates."""

from __future__ import annotations

import math

import pytest
import torch
from sampling.gaussian import Denoised, Exact, Still, error, exact_end, latents

from s2g.guidance.none import NoGuidance
from s2g.models.convention import VP
from s2g.sampling.ddim import DDIM
from s2g.sampling.ddpm import DDPM
from s2g.sampling.dopri5 import NEARLY_DATA, Dopri5
from s2g.sampling.euler import Euler
from s2g.sampling.heun import Heun
from s2g.sampling.loop import initial_noise
from s2g.sampling.schedulers import DPMpp, FlowMatchEuler, UniPC
from s2g.sampling.sde import SDE

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # DPM++, of numpy

# Steps at which the order shows, the least and the most it may be, the largest error at the finer. UniPC's and DPM++'s first
# steps are huge in log(alpha / sigma), which they expand in: their order shows late; DPM++'s stays at 1.7 to 1.8 (measured).
ORDERS = [
    (DDIM, 40, 0.9, 1.1, 0.02),
    (FlowMatchEuler, 40, 0.9, 1.1, 0.02),
    (UniPC, 80, 2.0, 3.0, 2e-4),
    (DPMpp, 160, 1.6, 2.2, 3e-4),
]


@pytest.mark.parametrize(("solver", "steps", "least", "most", "close"), ORDERS)
def test_order_of_convergence(solver: type, steps: int, least: float, most: float, close: float) -> None:
    coarse, fine = error(solver(steps=steps)), error(solver(steps=2 * steps))
    assert least < math.log2(coarse / fine) < most
    assert fine < close


@pytest.mark.parametrize("solver", [FlowMatchEuler, UniPC, DPMpp])
def test_a_shift_leads_to_the_same_end(solver: type) -> None:
    sampler = solver(steps=400, shift=3.0)
    assert sampler.levels()[200] == pytest.approx(0.75, abs=2e-3)
    assert error(sampler) < 0.01


def test_ddim_converges_on_the_linear_schedule_of_a_vp_model() -> None:
    coarse, fine = (error(DDIM(steps=n, grid="linear"), Exact(convention=VP())) for n in (100, 200))
    assert 0.8 < math.log2(coarse / fine) < 1.2 and fine < 0.02


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_ddim_without_fresh_noise_is_euler_on_a_flow(shift: float) -> None:
    for method in (NoGuidance(), Denoised()):
        found = latents(DDIM(steps=7, shift=shift), method=method)
        torch.testing.assert_close(found, latents(Euler(steps=7, shift=shift)), atol=1e-5, rtol=0)


def test_dopri5_meets_its_tolerance_in_fewer_evaluations() -> None:
    errors, counts = [], []
    for rtol in (1e-3, 1e-4, 1e-5):
        network = Exact()
        errors.append(error(Dopri5(rtol=rtol, atol=1e-3 * rtol), network))
        counts.append(len(network.asked))
        assert all(0 <= level <= 1 for level, _ in network.asked)
        assert errors[-1] < 5 * rtol
    assert counts[0] < counts[1] < counts[2] < 60
    assert error(Heun(steps=counts[2] // 2)) > 3 * errors[2]
    assert error(Dopri5()) < 0.005  # SiT's tolerances


def test_dopri5_shares_its_steps_among_the_items_of_a_unit() -> None:
    alone, together = Exact(), Exact()
    latents(Dopri5(), alone, items=1), latents(Dopri5(), together, items=8)
    assert alone.asked != together.asked


def test_dopri5_ends_denoised_methods_with_one_euler_step() -> None:
    plain, denoised = Exact(), Exact()
    ends = [latents(Dopri5(), network, method) for network, method in ((plain, None), (denoised, Denoised()))]
    assert min(level for level, _ in plain.asked) < 1e-9
    assert {level for level, _ in denoised.asked if level <= NEARLY_DATA} == {NEARLY_DATA}
    assert denoised.asked[-1] == (NEARLY_DATA, None)
    torch.testing.assert_close(ends[0], ends[1], atol=1e-3, rtol=0)


SAME = [Euler(20), DDIM(20), DDIM(20, eta=1.0), DDPM(20), SDE(20), FlowMatchEuler(20), UniPC(20), DPMpp(20)]


@pytest.mark.parametrize("sampler", SAME, ids=lambda s: type(s).__name__)
def test_spaces_agree(sampler) -> None:
    """The same prediction, combined as an estimate of the data, ends in the same place."""
    torch.testing.assert_close(latents(sampler, method=Denoised()), latents(sampler), atol=2e-5, rtol=0)


@pytest.mark.parametrize("sampler", [DDIM(4), DDIM(4, eta=0.5), DDPM(4), SDE(4), FlowMatchEuler(4)])
def test_no_movement_leaves_x_as_it_is(sampler) -> None:
    network = Exact()
    assert torch.equal(latents(sampler, network, Still()), initial_noise(5, range(8), (2,)))
    assert network.asked == []
    torch.testing.assert_close(latents(Dopri5(), network, Still()), initial_noise(5, range(8), (2,)), atol=1e-5, rtol=0)


def test_the_exact_end_is_where_the_flow_leads() -> None:
    """The yardstick itself: from level 1 the map is x -> MEAN + STD x."""
    torch.testing.assert_close(exact_end(Euler(1)), 1.5 + 0.4 * initial_noise(5, range(8), (2,)).double())


def test_a_vp_model_has_no_flow_to_step_along() -> None:
    for sampler in (Euler(2), Heun(2), SDE(2), UniPC(2)):
        with pytest.raises(ValueError, match="sampler=ddim"):
            latents(sampler, Exact(convention=VP()))

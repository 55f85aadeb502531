"""diffusers' schedulers behind the adapters: bit-equal to the stock object driven by hand, and nothing kept between units."""

from __future__ import annotations

import logging
import warnings
from itertools import pairwise

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from sampling.gaussian import Exact, Still, latents

from s2g.guidance.none import NoGuidance
from s2g.network.evaluate import Evaluator
from s2g.sampling.ddim import DDIM
from s2g.sampling.ddpm import DDPM
from s2g.sampling.dopri5 import Dopri5
from s2g.sampling.heun import Heun
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.schedulers import DPMpp, FlowMatchEuler, UniPC
from s2g.sampling.sde import SDE
from s2g.sampling.unchecked_solve import Unchecked
from s2g.sampling.unit import Unit

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # DPM++, of numpy

FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
PAIRS = [
    (FlowMatchEuler, lambda shift: FlowMatchEulerDiscreteScheduler(shift=shift)),
    (UniPC, lambda shift: UniPCMultistepScheduler(**FLOW, flow_shift=shift)),
    (DPMpp, lambda shift: DPMSolverMultistepScheduler(**FLOW, flow_shift=shift)),
]


class Elsewhere(UniPC):
    """UniPC as it steps on a device that one can wait for, on the CPU."""

    def moved(self, scheduler, velocity, timestep, x):
        assert torch.equal(scheduler.sigmas, UniPC(self.steps, self.shift).ready().sigmas)
        with Unchecked():
            return scheduler.step(velocity, timestep, x, return_dict=False)[0]


class LateStart(NoGuidance):
    """No movement in the first two steps, as CFG-Zero* has it on Wan."""

    def branches(self, step):
        return () if step.index < 2 else super().branches(step)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize(("adapter", "stock"), PAIRS)
@pytest.mark.parametrize("method", [NoGuidance(), LateStart()], ids=["moving", "late"])
def test_bit_equal_to_the_stock_scheduler(adapter: type, stock, shift: float, method: NoGuidance) -> None:
    steps, network, oracle = 12, Exact(), Exact()
    scheduler = stock(shift)
    scheduler.set_timesteps(steps)
    x = initial_noise(5, range(8), (2,))
    condition = oracle.encode([0.0] * 8)["cond"]
    for index, t in enumerate(scheduler.timesteps):
        if isinstance(method, LateStart) and index < 2:
            velocity = torch.zeros_like(x)
        else:
            velocity = oracle.forward(x, float(scheduler.sigmas[index]), condition, t).prediction.float()
        x = scheduler.step(velocity, t, x).prev_sample
    found = latents(adapter(steps=steps, shift=shift), network, method)
    assert found.dtype == torch.float32 and torch.equal(found, x)
    assert network.asked == oracle.asked  # levels are its sigmas, and the network is told its timesteps


def test_unipc_is_the_same_to_the_bit_without_asking_whether_a_system_was_singular() -> None:
    sampler = {kind: latents(kind(steps=12, shift=3.0), Exact(), NoGuidance()) for kind in (UniPC, Elsewhere)}
    assert torch.equal(sampler[UniPC], sampler[Elsewhere])


@pytest.mark.parametrize(("adapter", "stock"), PAIRS)
def test_levels_are_the_sigmas(adapter: type, stock) -> None:
    scheduler = stock(3.0)
    scheduler.set_timesteps(28)
    levels = adapter(steps=28, shift=3.0).levels()
    assert levels == tuple(scheduler.sigmas.tolist()) and len(levels) == 29
    assert 0.998 < levels[0] <= 1 and levels[-1] == 0 and all(a > b for a, b in pairwise(levels))


def test_no_movement_is_exact_for_euler_and_leaves_a_trace_in_the_others() -> None:
    """What follows two still steps: Euler goes on from x; the others' history holds the still steps."""
    start = initial_noise(5, range(8), (2,))
    assert torch.equal(latents(FlowMatchEuler(steps=6), method=Still()), start)
    for adapter in (UniPC, DPMpp):
        torch.testing.assert_close(latents(adapter(steps=6), method=Still()), start, atol=2e-6, rtol=0)
    for adapter, least, most in ((FlowMatchEuler, 0.0, 0.0), (UniPC, 1e-3, 0.1), (DPMpp, 1e-3, 0.1)):
        sampler = adapter(steps=12)
        state = sampler.start()
        scheduler = state["scheduler"]
        still, fresh = torch.zeros_like(start), sampler.ready()
        x = start
        for t in scheduler.timesteps[:2]:
            x = scheduler.step(still, t, x).prev_sample
        velocity = torch.ones_like(x)
        with_trace = scheduler.step(velocity, scheduler.timesteps[2], x).prev_sample
        fresh.set_begin_index(2)
        without = fresh.step(velocity, fresh.timesteps[2], x).prev_sample
        assert least <= float((with_trace - without).abs().max()) <= most


def test_where_timesteps_coincide_the_first_step_is_the_first() -> None:
    sampler = UniPC(steps=400, shift=8.0)
    scheduler = sampler.ready()
    assert scheduler.timesteps[0] == scheduler.timesteps[1]  # integers: the stock object would start at the second
    latents(sampler, network := Exact())
    assert [level for level, _ in network.asked] == list(sampler.levels()[:-1])


SAMPLERS = [FlowMatchEuler(6), UniPC(6), DPMpp(6), Heun(6), DDIM(6, eta=0.5), DDPM(6), SDE(6), Dopri5()]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: type(s).__name__)
def test_state_is_per_unit(sampler) -> None:
    """Two units in one process, in either order, one of them broken off: the same bytes."""
    network = Exact()
    units = [Unit(0, (0, 1), 3, 0), Unit(1, (2, 3), 3, 0)]

    def make(unit: Unit) -> torch.Tensor:
        with Evaluator(network) as evaluator:
            return sample(evaluator, NoGuidance(), sampler, network.encode([0.0, 0.0]), unit).latents

    first = [make(unit) for unit in units]
    state, other = sampler.start(), sampler.start()
    assert not set(map(id, state.values())) & set(map(id, other.values()))

    class BreaksOff(NoGuidance):
        def branches(self, step):
            if step.at < 0.5:
                raise KeyboardInterrupt
            return super().branches(step)

    with Evaluator(network) as evaluator, pytest.raises(KeyboardInterrupt):
        sample(evaluator, BreaksOff(), sampler, network.encode([0.0, 0.0]), units[0])
    second = [make(unit) for unit in reversed(units)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # DPM++'s own, of numpy: Python shows a user none of them
        for sampler in SAMPLERS:
            latents(sampler)
    out = capfd.readouterr()
    assert (out.out, out.err, caplog.records) == ("", "", [])

"""Variance-preserving models: the convention, the linear schedule, and DDIM and DDPM step by step against diffusers and ADM."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddpm
from sampling.gaussian import MEAN, STD, Exact, latents

from s2g.errors import UserError
from s2g.models.convention import VP, Flow
from s2g.models.prediction_space import Space
from s2g.rng import Purpose, normal
from s2g.sampling.ddim import DDIM
from s2g.sampling.ddpm import DDPM, Posterior, learned_deviation
from s2g.sampling.levels import linear_alpha_bars, spread_timesteps, strided_timesteps
from s2g.sampling.loop import initial_noise

SHAPE, ITEMS = (3, 2, 2), 5


def by_hand(scheduler, timesteps, network: Exact, after) -> torch.Tensor:
    """A stock scheduler's own loop; after(index, raw, t, x) takes the step."""
    x = initial_noise(5, range(ITEMS), SHAPE)
    bias = network.encode([0.0] * ITEMS)["cond"]
    bias.tensors["bias"] = bias.tensors["bias"].reshape(-1, 1, 1, 1)
    for index, t in enumerate(timesteps):
        bar = float(scheduler.alphas_cumprod[t])
        raw = network.forward(x, math.sqrt(1 - bar) / (math.sqrt(bar) + math.sqrt(1 - bar)), bias).prediction.float()
        x = after(index, raw, t, x)
    return x


def vp(variance: float | None = None) -> Exact:
    network = Exact(convention=VP(), shape=SHAPE, variance=variance)
    encode = network.encode

    def spatial(prompts):
        found = encode(prompts)
        for conditioning in found.values():
            conditioning.tensors["bias"] = conditioning.tensors["bias"].reshape(-1, 1, 1, 1)
        return found

    network.encode = spatial
    return network


def step_noise(index: int) -> torch.Tensor:
    return torch.stack([torch.from_numpy(normal(Purpose.STEP_NOISE, 5, item, SHAPE, index)) for item in range(ITEMS)])


def test_convention_there_and_back() -> None:
    convention, level = VP(), 0.3
    alpha, sigma = convention.coefficients(level)
    assert alpha**2 + sigma**2 == pytest.approx(1) and sigma / (alpha + sigma) == pytest.approx(level)
    data, noise = (torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    x = alpha * data + sigma * noise
    torch.testing.assert_close(convention.to(Space.DENOISED, noise, x, level), data)
    torch.testing.assert_close(convention.to(Space.VELOCITY, noise, x, level), noise - data)
    torch.testing.assert_close(convention.noise(noise, x, level), noise)
    for space in Space:
        for at in (level, 0.9):
            there = convention.to(space, noise, x, at)
            torch.testing.assert_close(convention.back(space, there, x, at), noise)
    with pytest.raises(ZeroDivisionError, match="level 0"):
        convention.back(Space.DENOISED, data, x, 0.0)
    with pytest.raises(ZeroDivisionError, match="level 1"):
        convention.to(Space.DENOISED, data, x, 1.0)


def test_flow_coefficients_and_noise() -> None:
    assert Flow().coefficients(0.25) == (0.75, 0.25)
    data, noise = torch.tensor([2.0]), torch.tensor([-1.0])
    x = 0.75 * data + 0.25 * noise
    torch.testing.assert_close(Flow().noise(noise - data, x, 0.25), noise)


def test_the_linear_schedule_is_diffusers_and_adms() -> None:
    bars = torch.tensor(linear_alpha_bars(), dtype=torch.float64)
    torch.testing.assert_close(bars, DDPMScheduler().alphas_cumprod.double(), rtol=2e-5, atol=0)  # theirs is float32
    np.testing.assert_allclose(bars, np.cumprod(1 - np.linspace(1e-4, 0.02, 1000, dtype=np.float64)), rtol=1e-12)
    assert strided_timesteps(50) == tuple(timesteps(DDIMScheduler(), 50)) == tuple(range(980, -1, -20))
    assert strided_timesteps(28) == tuple(timesteps(DDIMScheduler(), 28))
    for steps in (2, 10, 50, 250, 1000):
        assert spread_timesteps(steps) == tuple(timesteps(DDPMScheduler(timestep_spacing="linspace"), steps))
    # Where i * stride ties, ADM's running sum has its own rounding: from DiT's space_timesteps(1000, "21").
    assert spread_timesteps(21)[10] == 499 and round(10 * 999 / 20) == 500


def timesteps(scheduler, steps: int) -> list[int]:
    scheduler.set_timesteps(steps)
    return scheduler.timesteps.tolist()


@pytest.mark.parametrize(("sampler", "first"), [(DDIM(steps=50, grid="linear"), 980), (DDPM(steps=250, grid="linear"), 999)])
def test_levels_are_those_of_the_timesteps_that_the_network_is_told(sampler, first: int) -> None:
    network = vp()
    latents(sampler, network, items=ITEMS)
    levels = sampler.levels()
    assert len(levels) == sampler.steps + 1 and levels[-1] == 0 and all(a > b for a, b in pairwise(levels))
    assert [level for level, _ in network.asked] == list(levels[:-1])
    assert [t for _, t in network.asked] == list(sampler.respaced()) and network.asked[0][1] == first
    for level, t in network.asked:
        assert VP().coefficients(level)[0] ** 2 == pytest.approx(linear_alpha_bars()[t], rel=1e-9)


def test_a_flow_is_told_no_timestep() -> None:
    network = Exact()
    latents(DDIM(steps=4), network)
    assert network.asked == [(1.0, None), (0.75, None), (0.5, None), (0.25, None)]


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_diffusers(eta: float) -> None:
    scheduler = DDIMScheduler(clip_sample=False)
    scheduler.set_timesteps(20)

    def after(index, raw, t, x):
        return scheduler.step(raw, t, x, eta=eta, variance_noise=step_noise(index) if eta else None).prev_sample

    want = by_hand(scheduler, scheduler.timesteps, Exact(convention=VP(), shape=SHAPE), after)
    torch.testing.assert_close(latents(DDIM(steps=20, grid="linear", eta=eta), vp(), items=ITEMS), want, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("variance", "stock"), [("small", "fixed_small"), ("large", "fixed_large"), (None, "learned_range")])
def test_ddpm_is_diffusers(variance: str | None, stock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    v = 0.3 if stock == "learned_range" else None
    scheduler = DDPMScheduler(clip_sample=False, variance_type=stock)
    scheduler.set_timesteps(timesteps=list(spread_timesteps(25)))

    def after(index, raw, t, x):
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, **__: step_noise(index))
        raw = raw if v is None else torch.cat([raw, torch.full_like(raw, v)], dim=1)
        return scheduler.step(raw, t, x).prev_sample

    want = by_hand(scheduler, scheduler.timesteps, Exact(convention=VP(), shape=SHAPE), after)
    found = latents(DDPM(steps=25, grid="linear", variance=variance), vp(v), items=ITEMS)
    torch.testing.assert_close(found, want, atol=1e-4, rtol=0)


def adm(steps: int) -> dict[str, np.ndarray]:
    """ADM's arrays of a respaced linear schedule, rising t, float64, by their definitions (DiT gaussian_diffusion.py)."""
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[list(reversed(spread_timesteps(steps)))]
    before = np.append(1.0, kept[:-1])
    beta = 1 - kept / before
    posterior = beta * (1 - before) / (1 - kept)
    clipped = np.log(np.append(posterior[1], posterior[1:]))
    of_data, of_x = beta * np.sqrt(before) / (1 - kept), (1 - before) * np.sqrt(1 - beta) / (1 - kept)
    return {"bar": kept, "beta": beta, "posterior": posterior, "clipped": clipped, "of_data": of_data, "of_x": of_x}


@pytest.mark.parametrize("v", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_learned_variance_is_adms(v: float) -> None:
    arrays = adm(250)
    share = (v + 1) / 2
    want = np.exp(0.5 * (share * np.log(arrays["beta"]) + (1 - share) * arrays["clipped"]))
    for t in range(1, 250):
        posterior = Posterior.between(arrays["bar"][t], arrays["bar"][t - 1])
        for ours, key in ((posterior.data_weight, "of_data"), (posterior.y_weight, "of_x"), (posterior.small, "posterior")):
            assert ours == pytest.approx(arrays[key][t], rel=1e-9)
        found = learned_deviation(torch.tensor(v, dtype=torch.float64), posterior.small, posterior.large)
        assert float(found) == pytest.approx(want[t], rel=1e-12)


def test_a_learned_chain_ends_as_adms_with_its_clipped_first_term() -> None:
    """The clipped log variance stands at t = 0, where ADM multiplies the noise by zero: the chain has no use for it."""
    steps, v = 10, -0.4
    arrays, x = adm(steps), initial_noise(5, range(ITEMS), SHAPE).double()
    for index, t in enumerate(reversed(range(steps))):
        bar = arrays["bar"][t]
        data = MEAN + math.sqrt(bar) * STD**2 / (bar * STD**2 + 1 - bar) * (x - math.sqrt(bar) * MEAN)
        log = (v + 1) / 2 * math.log(arrays["beta"][t]) + (1 - (v + 1) / 2) * arrays["clipped"][t]
        x = arrays["of_data"][t] * data + arrays["of_x"][t] * x + (t > 0) * math.exp(0.5 * log) * step_noise(index)
    found = latents(DDPM(steps=steps, grid="linear", variance="learned"), vp(v), items=ITEMS).double()
    torch.testing.assert_close(found, x, atol=2e-5, rtol=0)


def test_variance_is_learned_where_there_is_one_and_small_where_there_is_none() -> None:
    def ends(variance: str | None, v: float | None) -> torch.Tensor:
        return latents(DDPM(steps=6, grid="linear", variance=variance), vp(v), items=ITEMS)

    assert torch.equal(ends(None, 0.3), ends("learned", 0.3)) and torch.equal(ends(None, None), ends("small", None))
    assert torch.equal(ends("small", 0.3), ends("small", None))  # typed: the model's is left alone
    assert not torch.equal(ends("learned", 0.3), ends("small", 0.3))
    torch.testing.assert_close(ends("learned", -1.0), ends("small", None))  # the ends of the range
    torch.testing.assert_close(ends("learned", 1.0), ends("large", None))
    with pytest.raises(UserError, match=r"sampler.variance=small"):
        ends("learned", None)


def test_ddim_with_all_noise_fresh_is_ddpm_with_the_small_variance() -> None:
    for network, grid in ((Exact(), "flow"), (vp(), "linear")):
        pair = [DDIM(steps=10, grid=grid, eta=1.0), DDPM(steps=10, grid=grid, variance="small")]
        if grid == "linear":  # the same timesteps for both
            object.__setattr__(pair[1], "respaced", pair[0].respaced)
        one, other = (latents(sampler, network, items=ITEMS) for sampler in pair)
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)

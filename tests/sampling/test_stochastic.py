"""Stochastic samplers: mean and variance of what comes out against the exact recursion of the discretised chain.

The network's estimate is affine in x, so a chain from a Gaussian stays Gaussian. Its recursions are written here from
other formulas than the samplers': Bayes' rule for the posterior, the marginal's score for the SDE.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from sampling.gaussian import MEAN, STD, Exact, latents

from s2g.models.convention import Flow
from s2g.sampling.base import Guided, StepEnds
from s2g.sampling.ddim import DDIM
from s2g.sampling.ddpm import DDPM
from s2g.sampling.levels import flow_levels
from s2g.sampling.sde import SDE

ITEMS, WIDTH = 100, 4000


def estimate(bar: float) -> tuple[float, float]:
    """E[data | y] = p + q y for y = sqrt(bar) data + sqrt(1 - bar) noise."""
    q = math.sqrt(bar) * STD**2 / (bar * STD**2 + 1 - bar)
    return MEAN - q * math.sqrt(bar) * MEAN, q


def bars(levels: tuple[float, ...]) -> list[float]:
    return [1 / (1 + (s / (1 - s)) ** 2) if s < 1 else 0.0 for s in levels]


def posterior_chain(bars: list[float], variance: str) -> tuple[float, float]:
    """Mean and variance after ancestral steps, the posterior by Bayes' rule: precisions add."""
    mean, var = 0.0, 1.0
    for bar, after in pairwise(bars):
        p, q = estimate(bar)
        if after == 1:
            mean, var = p + q * mean, q**2 * var
            break
        ratio = bar / after
        prior, seen = 1 / (1 - after), ratio / (1 - ratio)  # precisions of y' given the data, and given y
        total = prior + seen
        of_data = prior * math.sqrt(after) / total
        of_y = math.sqrt(ratio) / (1 - ratio) / total
        gain = of_data * q + of_y
        added = 1 / total if variance == "small" else 1 - ratio
        mean, var = of_data * p + gain * mean, gain**2 * var + added
    return mean, var


def ddim_chain(bars: list[float], eta: float) -> tuple[float, float]:
    """Mean and variance after DDIM steps: fresh noise eta times the posterior's deviation, the rest from the estimate."""
    mean, var = 0.0, 1.0
    for bar, after in pairwise(bars):
        p, q = estimate(bar)
        added = eta**2 * ((1 - after) - (1 - after) * (1 - (1 - bar / after) / (1 - bar)))
        kept = math.sqrt(1 - after - added)
        noise_p, noise_q = -math.sqrt(bar) * p / math.sqrt(1 - bar), (1 - math.sqrt(bar) * q) / math.sqrt(1 - bar)
        gain = math.sqrt(after) * q + kept * noise_q
        mean, var = math.sqrt(after) * p + kept * noise_p + gain * mean, gain**2 * var + added
    return mean, var


def sde_chain(steps: int, last_step: float) -> tuple[float, float]:
    """SiT's loop in its own time t = 1 - s: drift v + w score, diffusion sqrt(2 w), w = 1 - t; then one mean step."""
    mean, var, t = 0.0, 1.0, 0.0
    dt = (1 - last_step) / (steps - 1)
    for index in range(steps):
        h = dt if index < steps - 1 else last_step
        marginal = t**2 * STD**2 + (1 - t) ** 2
        # Of x - t MEAN: the score's factor, and the velocity's; the velocity is MEAN at the marginal's mean.
        score, velocity = -1 / marginal, (t * STD**2 - (1 - t)) / marginal
        rate = velocity + (1 - t) * score
        gain, added = 1 + h * rate, 2 * (1 - t) * h if index < steps - 1 else 0.0
        mean, var, t = gain * mean + h * (MEAN - rate * t * MEAN), gain**2 * var + added, t + h
    assert t == pytest.approx(1)
    return mean, var


def check(sampler, want: tuple[float, float]) -> None:
    """Within four standard errors of the exact chain."""
    found = latents(sampler, Exact(shape=(WIDTH,)), items=ITEMS, seed=11).double()
    mean, var, count = *want, ITEMS * WIDTH
    assert float(found.mean()) == pytest.approx(mean, abs=4 * math.sqrt(var / count))
    assert float(found.var()) == pytest.approx(var, rel=4 * math.sqrt(2 / count))


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_ddpm_is_its_chain(variance: str, shift: float) -> None:
    check(DDPM(steps=8, shift=shift, variance=variance), posterior_chain(bars(flow_levels(8, shift)), variance))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_its_chain(eta: float) -> None:
    check(DDIM(steps=8, eta=eta), ddim_chain(bars(flow_levels(8)), eta))


@pytest.mark.parametrize(("steps", "last_step"), [(10, 0.04), (6, 0.2)])
def test_sde_is_its_chain(steps: int, last_step: float) -> None:
    check(SDE(steps=steps, last_step=last_step), sde_chain(steps, last_step))


def test_sde_counts_as_sit_does() -> None:
    """250 evaluations, one a step: 249 even steps from 1 to 0.04, and the last."""
    network, levels = Exact(), SDE().levels()
    latents(SDE(), network, items=1)
    assert [level for level, _ in network.asked] == list(levels[:-1]) and len(levels) == 251
    assert levels[0] == 1 and levels[-2:] == (pytest.approx(0.04), 0) and levels[1] == pytest.approx(1 - 0.96 / 249)
    assert SDE(steps=5, shift=3.0).levels()[2] == pytest.approx(3 * 0.52 / (1 + 2 * 0.52))


def test_chains_that_differ_are_told_apart() -> None:
    """What the tests above would miss if their tolerance were too wide: the chains are further apart than it."""
    grid = bars(flow_levels(8))
    chains = [posterior_chain(grid, "small"), posterior_chain(grid, "large"), ddim_chain(grid, 0.0), ddim_chain(grid, 0.5)]
    chains += [sde_chain(8, 0.04), sde_chain(8, 0.125), sde_chain(6, 0.2)]
    variances = sorted(var for _, var in chains)
    assert all(b / a - 1 > 8 * math.sqrt(2 / ITEMS / WIDTH) for a, b in pairwise(variances))
    assert ddim_chain(grid, 1.0) == pytest.approx(posterior_chain(grid, "small"))


def test_chains_lead_to_the_data_as_steps_grow() -> None:
    for chain in (
        lambda n: posterior_chain(bars(flow_levels(n)), "small"),
        lambda n: posterior_chain(bars(flow_levels(n)), "large"),
        lambda n: ddim_chain(bars(flow_levels(n)), 0.5),
        lambda n: sde_chain(n, 1 / n),
    ):
        errors = [max(abs(m - MEAN), abs(math.sqrt(v) - STD)) for m, v in (chain(n) for n in (50, 200, 800))]
        assert errors[0] > 2 * errors[1] > 4 * errors[2] and errors[2] < 0.01
    check(DDPM(steps=100), posterior_chain(bars(flow_levels(100)), "small"))


def test_fresh_noise_belongs_to_item_and_step_and_the_last_step_has_none() -> None:
    for sampler in (DDPM(steps=3), DDIM(steps=3, eta=1.0), SDE(steps=3)):
        alone, together = (latents(sampler, Exact(), items=n) for n in (1, 4))
        assert (alone[0] - together[0]).abs().max() < 1e-6

        def noise():
            raise AssertionError("the last step draws no noise")

        ends = sampler.levels()[-2:]
        sampler.step(together, StepEnds(2, 3, *ends), lambda x, level, **_: Guided(x - MEAN, x, level, Flow()), noise, {})

"""CFG++ as CFG with a weight per step, against its literal algorithms, along whole trajectories, last step included.

The literal ones are written in their own coordinates: DDIM in variance-preserving ones, Euler in variance-exploding ones,
the two ports in the flow's. Each network is a nonlinear function, so that a wrong step shows in all that follow it.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from guidance.cases import step_at
from torch import Tensor

from s2g.guidance.base import MaskSampler, Step
from s2g.guidance.cfgpp import CFGPP, effective_weight
from s2g.network.branch import COND, UNCOND
from s2g.sampling.base import StepEnds
from s2g.sampling.euler import Euler
from s2g.sampling.levels import flow_levels

LAMS = [0.0, 0.37, 1.0]
START = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLOSE = dict(rtol=1e-10, atol=1e-10)


class Move:
    """What a solver is given as `guided`: a velocity."""

    def __init__(self, velocity: Tensor) -> None:
        self.velocity = velocity


def through_euler(method: CFGPP, x: Tensor, levels: list[float], cond, uncond) -> list[Tensor]:
    """The flow's trajectory under our Euler, the method combining velocities cond(x, s), uncond(x, s)."""
    path, solver = [x], Euler(len(levels) - 1)
    for index, (level, after) in enumerate(pairwise(levels)):
        ends = StepEnds(index, len(levels) - 1, level, after)

        def predict(x: Tensor, at: float, stage: int = 0, timestep: Tensor | None = None, ends: StepEnds = ends) -> Move:
            step = Step(ends.index, ends.count, ends.level, ends.next_level, at, stage, x, MaskSampler(0, 0, 0, 12))
            return Move(method.combine({COND: cond(x, at), UNCOND: uncond(x, at)}, step, {}))

        path.append(solver.step(path[-1], ends, predict, lambda: x, {}))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("lam", LAMS)
def test_renoise_noise_is_algorithm_2s_ddim(lam: float) -> None:
    """eps_lam = u + lam (c - u); x0 = (x - sqrt(1-a) eps_lam) / sqrt(a); x' = sqrt(a') x0 + sqrt(1-a') u; at the end x0."""
    bars = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[torch.arange(999, 0, -48)].tolist()
    alphas = [*bars, 1.0]

    def eps(x: Tensor, scale: float) -> Tensor:  # a function of x in VP coordinates
        return torch.tanh(scale * x) + 0.3 * x

    want = [START]
    for a, after in pairwise(alphas):
        c, u = eps(want[-1], 1.0), eps(want[-1], -0.4)
        data = (want[-1] - (1 - a) ** 0.5 * (u + lam * (c - u))) / a**0.5
        want.append(data if after == 1 else after**0.5 * data + (1 - after) ** 0.5 * u)

    total = [a**0.5 + (1 - a) ** 0.5 for a in alphas]  # x_flow = x_vp / (alpha + sigma)
    levels = [(1 - a) ** 0.5 / t for a, t in zip(alphas, total, strict=True)]

    def velocity(scale: float):
        def of(x: Tensor, level: float) -> Tensor:
            at = levels.index(level)
            noise = eps(x * total[at], scale)
            return noise - (x - level * noise) / (1 - level)

        return of

    path = through_euler(CFGPP(lam=lam), START / total[0], levels, velocity(1.0), velocity(-0.4))
    for x, t, literal in zip(path, total, want, strict=True):
        torch.testing.assert_close(x * t, literal, **CLOSE)


@pytest.mark.parametrize("lam", LAMS)
def test_renoise_noise_is_the_euler_of_variance_exploding_models(lam: float) -> None:
    """d = (x - D_u) / sigma; x' = D_lam + sigma' d."""
    sigmas = [14.6, 9.0, 5.5, 2.0, 0.7, 0.1, 0.0]

    def denoised(x: Tensor, sigma: float, scale: float) -> Tensor:
        return torch.sin(scale * x / (1 + sigma))

    want = [14.6 * START]
    for sigma, after in pairwise(sigmas):
        c, u = denoised(want[-1], sigma, 1.0), denoised(want[-1], sigma, 2.5)
        want.append(u + lam * (c - u) + after * (want[-1] - u) / sigma)

    levels = [sigma / (1 + sigma) for sigma in sigmas]  # x_flow = x_ve / (1 + sigma)

    def velocity(scale: float):
        def of(x: Tensor, level: float) -> Tensor:
            sigma = sigmas[levels.index(level)]
            return (x - denoised(x * (1 + sigma), sigma, scale)) / level

        return of

    path = through_euler(CFGPP(lam=lam), want[0] / 15.6, levels, velocity(1.0), velocity(2.5))
    for x, sigma, literal in zip(path, sigmas, want, strict=True):
        torch.testing.assert_close(x * (1 + sigma), literal, **CLOSE)


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("renoise", ["noise", "velocity"])
def test_both_flow_forms_from_pure_noise_to_the_end(renoise: str, shift: float, lam: float) -> None:
    """noise: x' = (1-s') x0_lam + s' n_u with n_u = x + (1-s) v_u. velocity: x' = x - s v_lam + s' v_u."""
    levels = list(flow_levels(14, shift))

    def cond(x: Tensor, level: float) -> Tensor:
        return torch.tanh(x) - level

    def uncond(x: Tensor, level: float) -> Tensor:
        return torch.cos(2 * x) * (1 - level) + 0.1 * x

    want = [START]
    for s, after in pairwise(levels):
        x = want[-1]
        u = uncond(x, s)
        v = u + lam * (cond(x, s) - u)
        if renoise == "noise":
            want.append((1 - after) * (x - s * v) + after * (x + (1 - s) * u))
        else:
            want.append(x - s * v + after * u)
    path = through_euler(CFGPP(lam=lam, renoise=renoise), START, levels, cond, uncond)
    for x, literal in zip(path, want, strict=True):
        torch.testing.assert_close(x, literal, **CLOSE)
    assert levels[-1] == 0
    last = want[-2] - levels[-2] * (uncond(want[-2], levels[-2]) * (1 - lam) + lam * cond(want[-2], levels[-2]))
    torch.testing.assert_close(path[-1], last, **CLOSE)  # the denoised estimate itself


def weights(lam: float, steps: int, shift: float, renoise: str) -> list[float]:
    return [effective_weight(lam, s, after, renoise) for s, after in pairwise(flow_levels(steps, shift))]


@pytest.mark.parametrize("steps", [10, 28, 50])
def test_how_strong_the_two_forms_are(steps: int) -> None:
    """On even levels, noise's weight is lam (n - i)(i + 1) / n and velocity's lam (n - i): both grow with the steps."""
    noise = [0.6 * (steps - i) * (i + 1) / steps for i in range(steps)]
    for shift in (1.0, 3.0, 0.4):  # which noise forgets
        assert weights(0.6, steps, shift, "noise") == pytest.approx(noise)
    assert weights(0.6, steps, 1.0, "velocity") == pytest.approx([0.6 * (steps - i) for i in range(steps)])
    assert weights(0.6, steps, 3.0, "velocity")[0] == pytest.approx(0.6 * (1 + 3 * (steps - 1)))
    assert weights(0.6, steps, 3.0, "velocity")[-1] == pytest.approx(0.6)


def test_a_scale_stands_for_a_lambda_up_to_one() -> None:
    assert [CFGPP(scale).lam for scale in (0.0, 5.0, 7.5, 12.5, 40.0)] == pytest.approx([0.0, 0.4, 0.6, 1.0, 1.0])
    assert CFGPP(40.0) == CFGPP(lam=1.0) and CFGPP(2.0, lam=0.6) == CFGPP(lam=0.6)  # what is the same has one key


def test_the_weight_is_of_the_step_not_of_the_evaluation() -> None:
    preds = {COND: START, UNCOND: -START}
    first, second = (CFGPP(lam=0.6).combine(preds, step_at(3, stage=stage), {}) for stage in (0, 1))
    assert torch.equal(first, second)

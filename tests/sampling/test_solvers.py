"""Solvers on problems whose solution is known: exact flows of Gaussians, orders of convergence, windows, NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sampling.gaussian import Denoised, Exact, Still, error

from s2g.errors import NotFiniteError
from s2g.guidance.base import MaskSampler
from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.models.base import Output
from s2g.models.convention import Flow
from s2g.models.prediction_space import Space
from s2g.network.evaluate import Evaluator
from s2g.sampling.euler import Euler
from s2g.sampling.heun import Heun
from s2g.sampling.levels import flow_levels
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.unit import Unit


@pytest.mark.parametrize(("solver", "order"), [(Euler, 1), (Heun, 2)])
def test_order_of_convergence(solver: type, order: int) -> None:
    coarse, fine = error(solver(steps=40)), error(solver(steps=80))
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.3)
    assert fine < (0.02 if order == 1 else 0.002)


def test_levels_are_even_and_shifted_as_sd3_shifts_them() -> None:
    assert flow_levels(4) == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert flow_levels(4, 3.0) == pytest.approx((1.0, 0.9, 0.75, 0.5, 0.0))


def test_a_step_without_branches_is_no_movement() -> None:
    network, unit = Exact(), Unit(0, (0, 1), 0, 0)
    for solver in (Euler(steps=3), Heun(steps=3)):
        with Evaluator(network) as evaluator:
            out = sample(evaluator, Still(), solver, network.encode([0.0, 0.0]), unit)
        assert torch.equal(out.latents, initial_noise(0, (0, 1), (2,)))
        assert evaluator.account.evaluations == 0


def test_heun_evaluates_twice_with_the_same_mask() -> None:
    seen = []

    class Spy(S2):
        def branches(self, step):
            found = super().branches(step)
            seen.append((step.index, step.stage, step.at, found[-1]))
            return found

    network = Exact((0.0, 0.1, 0.2, 0.3))
    with Evaluator(network) as evaluator:
        sampled = sample(
            evaluator, Spy(CFG(2.0), window=Window(0, 1)), Heun(steps=4), network.encode([0.0]), Unit(0, (0,), 0, 7)
        )
    assert [(i, stage) for i, stage, _, _ in seen] == [(i, stage) for i in range(4) for stage in (0, 1)]
    assert all(seen[2 * i][3] == seen[2 * i + 1][3] for i in range(4))
    assert [mask[0] for mask in sampled.masks] == [MaskSampler(7, 0, i, 4).mask(0, 1, (0,)) for i in range(4)]
    assert evaluator.account.evaluations == 4 * 2 * 3


def test_heun_ends_with_eulers_step_where_no_velocity_can_be_had() -> None:
    network, unit, steps = Exact(), Unit(0, (0, 1), 0, 0), 6
    with Evaluator(network) as evaluator:
        found = sample(evaluator, Denoised(), Heun(steps=steps), network.encode([0.0, 0.0]), unit).latents
    assert evaluator.account.evaluations == 2 * steps - 1

    def velocity(x: torch.Tensor, level: float) -> torch.Tensor:
        return network.forward(x, level, network.encode([0.0, 0.0])["cond"]).prediction

    x = initial_noise(0, (0, 1), (2,))
    for i in range(steps):
        level, after = 1 - i / steps, 1 - (i + 1) / steps
        first = velocity(x, level)
        euler = x + (after - level) * first
        x = euler if i == steps - 1 else x + (after - level) * (first + velocity(euler, after)) / 2
    torch.testing.assert_close(found, x.to(found.dtype), atol=1e-5, rtol=1e-5)


def test_spaces_convert_there_and_back() -> None:
    x, v = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    for space in Space:
        torch.testing.assert_close(Flow().back(space, Flow().to(space, v, x, 0.3), x, 0.3), v)
    data, noise = x - 0.3 * v, x + 0.7 * v
    torch.testing.assert_close(Flow().to(Space.DENOISED, v, x, 0.3), data)
    torch.testing.assert_close(0.7 * data + 0.3 * noise, x)
    with pytest.raises(ZeroDivisionError):
        Flow().back(Space.DENOISED, x, x, 0.0)


def test_nan_names_step_branch_and_item() -> None:
    class Broken(Exact):
        worst = 0.5

        def forward(self, x, level, conditioning, timestep=None):
            out = super().forward(x, level, conditioning).prediction
            if level < self.worst or self.worst == 1:
                out[len(out) // 2 + 1] = torch.nan  # second item of the second half: uncond
            return Output(out)

    network = Broken()
    with Evaluator(network) as evaluator, pytest.raises(NotFiniteError) as caught:
        sample(evaluator, CFG(2.0), Euler(steps=4), network.encode([0.0, 0.0]), Unit(3, (12, 13), 0, 0))
    assert str(caught.value) == "not finite: step 3 of 4, branch uncond, item 13" and caught.value.guided
    network.worst = 1.0
    with Evaluator(network) as evaluator, pytest.raises(NotFiniteError, match="step 0 of 4") as caught:
        sample(evaluator, CFG(2.0), Euler(steps=4), network.encode([0.0, 0.0]), Unit(3, (12, 13), 0, 0))
    assert not caught.value.guided  # nothing was guided yet


def test_initial_noise_belongs_to_the_item() -> None:
    alone, together = initial_noise(4, (7,), (3, 5)), initial_noise(4, (5, 6, 7), (3, 5))
    assert torch.equal(alone[0], together[2])
    assert not torch.equal(initial_noise(5, (7,), (3, 5)), alone)
    many = initial_noise(0, tuple(range(2000)), (8,)).double()
    assert abs(float(many.mean())) < 0.03 and abs(float(many.std()) - 1) < 0.03


def test_cfg_over_a_known_bias_moves_by_scale_times_the_bias() -> None:
    """cond = uncond + b, so CFG's velocity is uncond + scale b: linear in the scale at the first step."""
    network = Exact()
    with Evaluator(network) as evaluator:
        outs = [
            sample(evaluator, CFG(s), Euler(steps=1), network.encode([0.5]), Unit(0, (0,), 0, 0)).latents for s in (2.0, 4.0)
        ]
    np.testing.assert_allclose((outs[1] - outs[0]).numpy(), -2 * 0.5, rtol=1e-5)

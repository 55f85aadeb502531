"""A method that evaluates at another point: Rectified-CFG++ through the loop, against its algorithm written out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from s2g.cli.run import main
from s2g.config.compose import compose_config
from s2g.engine.cost import full_pass
from s2g.engine.cost_estimate import expected_cost
from s2g.engine.resolve import outline
from s2g.guidance.channels import Channels
from s2g.guidance.rivals.rectified_cfgpp import RectifiedCFGPP
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window, Windowed
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.euler import Euler
from s2g.sampling.loop import noise_of, sample
from s2g.sampling.schedulers import FlowMatchEuler
from s2g.sampling.unit import Unit
from tests.small_networks import SMALL

UNIT = Unit(0, (0, 1), 3, 4)


def sampled(network: Any, guidance: Any, sampler: Any) -> tuple[Tensor, Account]:
    account = Account()
    with Evaluator(network, account=account) as evaluator:
        return sample(evaluator, guidance, sampler, network.encode([1, 2]), UNIT).latents, account


@pytest.mark.parametrize("form", ["paper", "code"])
@pytest.mark.parametrize("sampler", [Euler(5), FlowMatchEuler(5, shift=3.0)], ids=["euler", "flow_match_euler"])
@pytest.mark.parametrize("name", ["sit", "sd3"])
def test_it_is_its_algorithm(name: str, sampler: Any, form: str) -> None:
    network: Any = SMALL[name]("separate")
    conditions, x, levels = network.encode([1, 2]), noise_of(UNIT, network.latent_shape), sampler.levels()

    def v(at: Tensor, level: float, condition: str) -> Tensor:
        return network.forward(at, level, conditions[condition]).prediction

    with torch.no_grad():
        for s, after in pairwise(levels):
            cond, dt = v(x, s, "cond"), after - s
            ahead, level = (x + dt * cond, s) if form == "code" else (x + dt / 2 * cond, s + dt / 2)
            guided = cond + 1.5 * (1 - s) ** 0.5 * (v(ahead, level, "cond") - v(ahead, level, "uncond"))
            x = x + dt * guided
    got, account = sampled(network, RectifiedCFGPP(1.5, gamma=0.5, form=form), sampler)
    torch.testing.assert_close(got, x, rtol=1e-4, atol=1e-4)
    assert account.evaluations == 3 * 5


def test_its_evaluations_are_counted_before_anything_is_loaded() -> None:
    about = outline(compose_config("guidance=rectified_cfgpp", "sampler.steps=6"))
    assert expected_cost(about, full_pass(about.model)).evaluations == 18
    windowed = outline(compose_config("guidance=rectified_cfgpp", "sampler.steps=6", "guidance.window=[0.5,1]"))
    assert expected_cost(windowed, full_pass(windowed.model)).evaluations == 3 + 9


@pytest.mark.parametrize(
    ("method", "evaluations"),
    [
        ("nag", 3 * 6),
        ("nag guidance.base=none", 2 * 6),
        ("tdg", 3 * 6),
        ("tag", 2 * 6),
        ("sgg", 2 * 6),
        ("stg_official", 3 * 6),
    ],
)
def test_passes_with_both_texts_or_half_of_each_are_counted(method: str, evaluations: int) -> None:
    typed = ["model=tiny_sd3", "bench=shapes_t2i", "sampler.steps=6", *f"guidance={method}".split()]
    about = outline(compose_config(*typed))
    assert expected_cost(about, full_pass(about.model)).evaluations == evaluations


def test_it_composes_with_s2_windows_and_channels() -> None:
    network: Any = SMALL["sit"]("separate")
    plain, _ = sampled(network, RectifiedCFGPP(1.5), Euler(4))
    for around in (
        S2(RectifiedCFGPP(1.5), drop=2),
        Windowed(RectifiedCFGPP(1.5), Window(0.5, 1)),
        Channels(RectifiedCFGPP(1.5), 2),
    ):
        got, account = sampled(network, around, Euler(4))
        assert (got - plain).abs().max() > 1e-3
        assert account.evaluations == {"S2": 15, "Windowed": 8, "Channels": 12}[type(around).__name__]


@pytest.mark.parametrize("sampler", ["heun", "unipc", "dopri5", "ddim"])
def test_samplers_that_do_not_move_by_one_velocity_are_refused(sampler: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guidance=rectified_cfgpp", f"sampler={sampler}", "plan=true"]) == 2
    assert "rectified_cfgpp needs" in capsys.readouterr().err

"""Whole trajectories of small SiT and DiT networks against loops written straight from the sources, guidance on 3 channels.

The loops know nothing of s2g's levels, spaces or methods: SiT's in its own time t from 0 (noise) to 1 (data), DiT's with
ADM's respaced betas. They share the network's weights and the noise, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from s2g.engine.resolve import outline
from s2g.engine.run import Run
from s2g.guidance.cfg import CFG
from s2g.guidance.channels import Channels
from s2g.models.dit import DiTDenoiser
from s2g.models.sit import SiT, SiTDenoiser
from s2g.network.evaluate import Evaluator
from s2g.rng import Purpose, normal
from s2g.sampling.base import Sampler
from s2g.sampling.ddpm import DDPM
from s2g.sampling.euler import Euler
from s2g.sampling.heun import Heun
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.sde import SDE
from s2g.sampling.unit import Unit
from tests.small_networks import randomise

LABELS, NONE, SCALE, SEED, SHAPE = [3, 7], 10, 2.5, 5, (4, 8, 8)
ITEMS = (0, 1)


@pytest.fixture
def network() -> SiT:
    made = randomise(SiT(size=8, patch=2, channels=4, width=32, depth=3, heads=2, num_classes=NONE))
    assert isinstance(made, SiT)
    return made


def guided(network: SiT, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """The sources' forward_with_cfg: both halves of the batch at the same x, the first three channels mixed."""
    labels = torch.tensor(LABELS + [NONE] * len(LABELS))
    out = network(torch.cat([x, x]), torch.full((2 * len(x),), float(t)), labels)
    main, rest = out[:, :3], out[:, 3:]
    cond, uncond = main.chunk(2)
    mixed = torch.cat([uncond + SCALE * (cond - uncond), rest.chunk(2)[0]], dim=1)
    return mixed[:, :4], mixed[:, 4:]


def fresh(index: int) -> Tensor:
    return torch.stack([torch.from_numpy(normal(Purpose.STEP_NOISE, SEED, item, SHAPE, index)) for item in ITEMS])


def euler(network: SiT, x: Tensor, steps: int) -> Tensor:
    for i in range(steps):
        x = x + guided(network, x, i / steps)[0] / steps
    return x


def heun(network: SiT, x: Tensor, steps: int) -> Tensor:
    for i in range(steps):
        first = guided(network, x, i / steps)[0]
        second = guided(network, x + first / steps, (i + 1) / steps)[0]
        x = x + (first + second) / (2 * steps)
    return x


def sde(network: SiT, x: Tensor, steps: int, last: float) -> Tensor:
    """x_t = t data + (1 - t) noise: score = (t v - x) / (1 - t), diffusion 1 - t; the last step takes the drift alone."""
    times = np.linspace(0, 1 - last, steps)
    dt = float(times[1] - times[0])
    for i, t in enumerate(times):
        v = guided(network, x, t)[0]
        drift = v + (1 - t) * (t * v - x) / (1 - t)
        x = x + last * drift if i == steps - 1 else x + dt * drift + math.sqrt(2 * (1 - t) * dt) * fresh(i)
    return x


def ddpm(network: SiT, x: Tensor, steps: int) -> Tensor:
    """Betas of the visited timesteps, x0 from the noise, the posterior's mean, a variance between its bounds."""
    kept = sorted({round(i * 999 / (steps - 1)) for i in range(steps)})
    assert len(kept) == steps
    bars = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[kept]
    before = np.append(1.0, bars[:-1])
    betas = 1 - bars / before
    small = betas * (1 - before) / (1 - bars)
    for index, i in enumerate(reversed(range(steps))):
        noise, v = guided(network, x, kept[i])
        data = math.sqrt(1 / bars[i]) * x - math.sqrt(1 / bars[i] - 1) * noise
        mean = betas[i] * math.sqrt(before[i]) / (1 - bars[i]) * data
        mean = mean + (1 - before[i]) * math.sqrt(1 - betas[i]) / (1 - bars[i]) * x
        if i == 0:
            return mean
        share = (v + 1) / 2
        log_variance = share * math.log(betas[i]) + (1 - share) * math.log(small[i])
        x = mean + torch.exp(0.5 * log_variance) * fresh(index)
    raise AssertionError


CASES: list[tuple[type[SiTDenoiser], Sampler, Callable[[SiT, Tensor], Tensor]]] = [
    (SiTDenoiser, Euler(steps=7), lambda network, x: euler(network, x, 7)),
    (SiTDenoiser, Heun(steps=5), lambda network, x: heun(network, x, 5)),
    (SiTDenoiser, SDE(steps=9, last_step=0.04), lambda network, x: sde(network, x, 9, 0.04)),
    (DiTDenoiser, DDPM(steps=10, grid="linear"), lambda network, x: ddpm(network, x, 10)),
    (DiTDenoiser, DDPM(steps=10, grid="linear", variance="learned"), lambda network, x: ddpm(network, x, 10)),
]


def made(kind: type[SiTDenoiser], network: SiT, sampler: Sampler, channels: int) -> Tensor:
    adapter = kind(network, 8, 4, "batched")
    with Evaluator(adapter) as evaluator, torch.inference_mode():
        conditioning = evaluator.encode(LABELS)
        return sample(evaluator, Channels(CFG(SCALE), channels), sampler, conditioning, Unit(0, ITEMS, SEED, 0)).latents


@pytest.mark.parametrize(("kind", "sampler", "straight"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_a_trajectory_is_the_sources(kind: type[SiTDenoiser], sampler: Sampler, straight: Callable, network: SiT) -> None:
    found = made(kind, network, sampler, channels=3)
    with torch.no_grad():
        want = straight(network, initial_noise(SEED, ITEMS, SHAPE))
    size = want.std()
    assert (found - want).abs().max() < 2e-5 * size
    # What these tests are to tell apart is far larger: guidance on all four channels, and the weight of the classes.
    assert (found - made(kind, network, sampler, channels=4)).abs().max() > 1e-2 * size


def test_learned_variance_is_what_the_network_says(network: SiT) -> None:
    """Without it the trajectory is another: the comparison above would see variance channels that are not used."""
    learned, small = (made(DiTDenoiser, network, DDPM(10, grid="linear", variance=kind), 3) for kind in ("learned", "small"))
    assert (learned - small).abs().max() > 1e-2 * learned.std()


@pytest.mark.parametrize(
    ("model", "preset", "evaluations", "levels"),
    [
        ("sit_xl", "sit_ode_heun", 250, (1.0, 1 - 1 / 125)),
        ("sit_xl", "sit_ode_euler", 250, (1.0, 1 - 1 / 250)),
        ("sit_xl", "sit_sde", 250, (1.0, 1 - 0.96 / 249)),
        ("dit_xl", "dit_ddpm250", 250, None),
    ],
)
def test_presets_ask_as_often_as_the_published_numbers_did(
    model: str, preset: str, evaluations: int, levels: tuple[float, float] | None, composed: Callable[..., dict], network: SiT
) -> None:
    about = outline(composed(f"model={model}", f"sampler={preset}", "guidance=cfg", "bench=imagenet"))
    assert about.guidance == Channels(CFG(1.5), 3)
    kind = SiTDenoiser if model == "sit_xl" else DiTDenoiser
    with Evaluator(kind(network, 8, 4, "batched")) as evaluator, torch.inference_mode():
        sample(evaluator, CFG(1.0), about.sampler, evaluator.encode([0]), Unit(0, (0,), 0, 0))
    assert evaluator.account.evaluations == evaluations
    if levels is not None:
        assert about.sampler.levels()[:2] == pytest.approx(levels)
    else:
        assert (about.sampler.timestep(0), about.sampler.timestep(249)) == (999, 0)  # type: ignore[attr-defined]
    # The model's own sampler is the preset of its published numbers.
    if preset != "sit_ode_euler" and preset != "sit_sde":
        own = outline(composed(f"model={model}", "guidance=cfg", "bench=imagenet")).sampler
        assert own.levels() == about.sampler.levels() and type(own) is type(about.sampler)


def test_a_preset_is_the_run_of_its_knobs_typed_one_by_one(run_of: Callable[..., Run]) -> None:
    assert run_of("sampler=sit_ode_heun").key == run_of("sampler=heun", "sampler.steps=125").key
    assert run_of("sampler=sit_sde").key == run_of("sampler=sde", "sampler.steps=250", "sampler.last_step=0.04").key


@pytest.mark.parametrize(("typed", "guided"), [("model.channels=4", 4), ("guidance.channels=4", 4), ("seed=0", 3)])
def test_three_or_four_channels_are_guided(typed: str, guided: int, composed: Callable[..., dict]) -> None:
    method = outline(composed("model=sit_xl", "guidance=s2", "bench=imagenet", typed)).guidance
    assert (method.channels or 4) == guided


def test_dopri5_preset_has_the_sources_tolerances_and_refuses_masks(composed: Callable[..., dict]) -> None:
    from s2g.errors import UserError

    about = outline(composed("model=sit_xl", "sampler=sit_ode_dopri5", "guidance=cfg", "bench=imagenet"))
    assert (about.sampler.atol, about.sampler.rtol) == (1e-6, 1e-3)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="no step index"):
        outline(composed("model=sit_xl", "sampler=sit_ode_dopri5", "guidance=s2", "bench=imagenet"))
    with pytest.raises(UserError, match="variance-preserving"):
        outline(composed("model=dit_xl", "sampler=sit_ode_heun", "guidance=cfg", "bench=imagenet"))

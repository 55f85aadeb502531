"""Our equations against diffusers 0.42's guiders, called as `forward` on tensors, and its scheduler and pipeline.

Used, because right on tensors: ClassifierFreeGuidance (both formulations, rescale, start and stop),
AdaptiveProjectedGuidance (both, cap, eta, momentum), ClassifierFreeZeroStarGuidance, TangentialClassifierFreeGuidance,
MagnitudeAwareGuidance on up to three dimensions, and the sums of SkipLayerGuidance,
PerturbedAttentionGuidance and SmoothedEnergyGuidance; FlowMatchEulerDiscreteScheduler and DDIMScheduler for CFG++'s steps.

Not used, because broken in 0.42.1:
- SkipLayerGuidance, PerturbedAttentionGuidance, SmoothedEnergyGuidance with CFG off: k + g (c - k), one unit weaker than
  their sources' c + g (c - k) (shown below). Their windows truncate the bounds and are strict: SLG at 28 steps runs at
  i = 1..4 where the official code and diffusers' own pipeline run at 1..5 (shown below).
- SkipLayerGuidance(skip_layer_guidance_layers=[7, 8, 9]) keeps an int where a list is iterated (shown below), and its hook
  returns the two streams of SD3 and Flux blocks in one fixed order.
- PerturbedAttentionGuidance's hook knows neither SD3's nor Wan's attention processors, and passes values for text too.
- SmoothedEnergyGuidance never attaches its hook: prepare_models does not count (shown below). Its blur has the finite and
  the infinite branch swapped.
- AutoGuidance weakens the unconditional pass, not a second network.
- TangentialClassifierFreeGuidance's is_conditional reads an attribute that does not exist, and MagnitudeAwareGuidance fails on
  four dimensions (both shown below). FrequencyDecoupledGuidance needs kornia, which is not installed here:
  its numbers are in golden/fdg.npz, and test_official.py holds ours against them.
- There is no CFG++ and no ADG.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.guiders import (
    AdaptiveProjectedGuidance,
    ClassifierFreeGuidance,
    ClassifierFreeZeroStarGuidance,
    MagnitudeAwareGuidance,
    PerturbedAttentionGuidance,
    SkipLayerGuidance,
    SmoothedEnergyGuidance,
    TangentialClassifierFreeGuidance,
)
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer
from diffusers.hooks import LayerSkipConfig
from diffusers.hooks.smoothed_energy_guidance_utils import SmoothedEnergyGuidanceConfig
from diffusers.utils import logging
from guidance.cases import ALWAYS, edited_branch, predictions, step_at
from torch import Tensor, nn

from s2g.guidance.apg import APG
from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.cfgpp import CFGPP, effective_weight
from s2g.guidance.pag import PAG
from s2g.guidance.rivals.mambo_g import MamboG
from s2g.guidance.rivals.tcfg import TCFG
from s2g.guidance.s2 import S2
from s2g.guidance.seg import SEG
from s2g.guidance.slg import SLG
from s2g.guidance.window import Window, Windowed
from s2g.network.branch import COND, UNCOND

LAYERS = LayerSkipConfig([7, 8, 9], fqn="blocks")
BLURRED = SmoothedEnergyGuidanceConfig([0], fqn="blocks")
EXACT: dict[str, Any] = dict(rtol=1e-12, atol=1e-12)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Guiders warn of being experimental whenever one is made."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    yield
    logging.set_verbosity(before)


def at(guider: Any, step: int, count: int = 10) -> Any:
    guider.set_state(step, count, torch.tensor(0))
    return guider


def ours(method: Guidance, preds: dict, index: int = 5) -> Tensor:
    return method.combine(preds, step_at(index), method.start())


@pytest.fixture
def preds() -> dict:
    found = predictions(CFG(3.0), step_at())
    found[COND] = found[COND] * torch.tensor([0.3, 1.0, 5.0]).view(3, 1, 1, 1) + 0.4 * found[UNCOND]
    return found


@pytest.mark.parametrize("scale", [1.0, 3.0, 7.5])
@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_cfg_in_both_formulations(preds: dict, scale: float, rescale: float) -> None:
    got = ours(CFG(scale, rescale=rescale), preds)
    for guider in (
        ClassifierFreeGuidance(scale, guidance_rescale=rescale),
        ClassifierFreeGuidance(scale - 1, guidance_rescale=rescale, use_original_formulation=True),
    ):
        torch.testing.assert_close(got, at(guider, 5).forward(preds[COND], preds[UNCOND]).pred, **EXACT)


def test_a_window_around_cfg_is_diffusers_start_and_stop(preds: dict) -> None:
    for count in (10, 28, 50):
        method = Windowed(CFG(3.0), Window(0.25, 0.75))
        guider = ClassifierFreeGuidance(3.0, start=0.25, stop=0.75)
        for index in range(count):
            step = step_at(index, count)
            assert len(method.branches(step)) == at(guider, index, count).num_conditions
            torch.testing.assert_close(
                method.combine(preds, step, {}), guider.forward(preds[COND], preds[UNCOND]).pred, **EXACT
            )


@pytest.mark.parametrize("momentum", [None, -0.5])
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("r", [0.0, 4.0])
def test_apg_over_a_trajectory(momentum: float | None, eta: float, r: float) -> None:
    knobs: dict[str, Any] = dict(eta=eta, r=r, momentum=momentum or 0.0)
    plain, paper = APG(6.0, form="diffusers", **knobs), APG(6.0, form="paper", **knobs)
    states = plain.start(), paper.start()
    theirs = dict(eta=eta, adaptive_projected_guidance_rescale=r, adaptive_projected_guidance_momentum=momentum)
    guider = AdaptiveProjectedGuidance(6.0, **theirs)
    original = AdaptiveProjectedGuidance(5.0, use_original_formulation=True, **theirs)  # the paper's w less one
    if momentum is not None:  # what prepare_inputs does at step 0
        guider.momentum_buffer, original.momentum_buffer = MomentumBuffer(momentum), MomentumBuffer(momentum)
    for index in range(4):
        preds = predictions(CFG(3.0), step_at(), seed=index)
        for method, state, other in ((plain, states[0], guider), (paper, states[1], original)):
            got = method.combine(preds, step_at(index), state)
            torch.testing.assert_close(got, at(other, index).forward(preds[COND], preds[UNCOND]).pred, **EXACT)


@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_apg_form_diffusers_is_the_guider_with_its_defaults(preds: dict, scale: float) -> None:
    """At scale 1 the guider switches itself off and gives cond, not uncond and a capped step."""
    preds = {branch: 10 * value for branch, value in preds.items()}  # so that the cap of 15 bites
    guider = at(AdaptiveProjectedGuidance(scale), 5)
    method = APG(scale, form="diffusers")
    assert len(method.branches(step_at())) == guider.num_conditions
    got = ours(method, preds)
    torch.testing.assert_close(got, guider.forward(preds[COND], preds[UNCOND]).pred, **EXACT)
    assert scale == 1 or not torch.allclose(got, ours(CFG(scale), preds))


@pytest.mark.parametrize("scale", [1.0, 3.5, 7.5])
def test_cfg_zero_in_both_formulations_and_its_first_steps(preds: dict, scale: float) -> None:
    """Theirs is fp32 inside, so the agreement is fp32's."""
    method = CFGZero(scale, zero_init=2)
    for index in range(4):
        guider = at(ClassifierFreeZeroStarGuidance(scale, zero_init_steps=2), index)
        theirs = guider.forward(preds[COND], preds[UNCOND]).pred
        if not method.branches(step_at(index)):
            assert not theirs.any() and index < 2
            continue
        torch.testing.assert_close(ours(method, preds, index), theirs, rtol=1e-5, atol=1e-5)
        original = ClassifierFreeZeroStarGuidance(scale - 1, zero_init_steps=2, use_original_formulation=True)
        again = at(original, index).forward(preds[COND], preds[UNCOND]).pred
        torch.testing.assert_close(ours(method, preds, index), again, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["slg", "s2", "pag", "seg"])
def test_the_sum_of_slg_pag_seg_and_s2_over_cfg(name: str) -> None:
    base = CFG(3.0)
    method: Any = {
        "slg": SLG(base, slg_scale=2.8, layers=(7, 8, 9), window=ALWAYS),
        "s2": S2(base, omega=2.8, window=ALWAYS),
        "pag": PAG(base, pag_scale=2.8, layers=(7,)),
        "seg": SEG(base, seg_scale=2.8, layers=(7,)),
    }[name]
    guider: Any = {
        "pag": lambda: PerturbedAttentionGuidance(3.0, 2.8, 0.0, 1.0, perturbed_guidance_config=attention_config()),
        "seg": lambda: SmoothedEnergyGuidance(3.0, 2.8, seg_guidance_config=BLURRED),
    }.get(name, lambda: SkipLayerGuidance(3.0, 2.8, 0.0, 1.0, skip_layer_config=LAYERS))()
    step = step_at()
    preds = predictions(method, step)
    k = preds[edited_branch(method, step)]
    assert at(guider, 5).num_conditions == 3
    torch.testing.assert_close(
        method.combine(preds, step, {}), guider.forward(preds[COND], preds[UNCOND], k).pred, rtol=1e-12, atol=1e-12
    )
    # With CFG off theirs starts from k and ours, as the sources, from c.
    guider.guidance_scale = 1.0
    alone = replace(method, base=CFG(1.0)).combine(preds, step, {})
    theirs = guider.forward(preds[COND], preds[UNCOND], k).pred
    torch.testing.assert_close(alone - theirs, preds[COND] - k, **EXACT)


def attention_config() -> LayerSkipConfig:
    return LayerSkipConfig([7], fqn="blocks", skip_attention=False, skip_attention_scores=True, skip_ff=False)


def test_slgs_window_is_the_pipelines_float_comparison_and_not_the_guiders() -> None:
    """StableDiffusion3Pipeline: i > n * start and i < n * stop, the layers skipped there and nowhere else."""
    window = SLG().window
    for count in range(1, 201):
        pipeline = [i for i in range(count) if i > count * 0.01 and i < count * 0.2]
        assert [i for i in range(count) if window.active(step_at(i, count))] == pipeline
    guider = SkipLayerGuidance(3.0, skip_layer_config=LAYERS)
    assert [i for i in range(28) if window.active(step_at(i, 28))] == [1, 2, 3, 4, 5]
    assert [i for i in range(28) if at(guider, i, 28).num_conditions == 3] == [1, 2, 3, 4]


@pytest.mark.parametrize("renoise", ["noise", "velocity"])
def test_cfgpp_through_diffusers_flow_scheduler(renoise: str) -> None:
    """One FlowMatchEuler trajectory with our weight per step is the literal renoising of its own numbers."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(8)
    method, lam = CFGPP(lam=0.6, renoise=renoise), 0.6
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    want = x.double()
    sigmas = scheduler.sigmas.tolist()
    for index, timestep in enumerate(scheduler.timesteps):
        s, after = sigmas[index], sigmas[index + 1]
        step = replace(step_at(index, 8, x=x), level=s, next_level=after, at=s)
        c, u = torch.tanh(x) + s, torch.sin(3 * x)
        x = scheduler.step(method.combine({COND: c, UNCOND: u}, step, {}), timestep, x, return_dict=False)[0]
        c, u = torch.tanh(want) + s, torch.sin(3 * want)
        data = want - s * (u + lam * (c - u))
        want = (1 - after) * data + after * (want + (1 - s) * u) if renoise == "noise" else data + after * u
    torch.testing.assert_close(x.double(), want, rtol=1e-4, atol=1e-4 * want.abs().max().item())


@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_cfgpp_through_diffusers_ddim(lam: float) -> None:
    """Their deterministic step on noise combined by our weight: x0 from eps_lam, renoised with uncond, at the end x0."""
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(10)
    bars = [*(float(scheduler.alphas_cumprod[t]) for t in scheduler.timesteps), 1.0]
    levels = [(1 - a) ** 0.5 / (a**0.5 + (1 - a) ** 0.5) for a in bars]
    method = CFGPP(lam=lam)
    x = want = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for index, (timestep, a, after) in enumerate(zip(scheduler.timesteps, bars, bars[1:], strict=False)):
        step = replace(step_at(index, 10, x=x), level=levels[index], next_level=levels[index + 1], at=levels[index])
        noise = method.combine({COND: torch.tanh(x), UNCOND: torch.sin(3 * x)}, step, {})
        x = scheduler.step(noise, int(timestep), x, eta=0.0).prev_sample
        c, u = torch.tanh(want), torch.sin(3 * want)
        want = after**0.5 * (want - (1 - a) ** 0.5 * (u + lam * (c - u))) / a**0.5 + (1 - after) ** 0.5 * u
    torch.testing.assert_close(x, want, rtol=1e-4, atol=1e-4)  # alphas are fp32 there


@pytest.mark.parametrize(
    ("steps", "shift", "renoise", "first", "most", "mean"),
    [
        (28, 1.0, "noise", 0.6, 4.36, 2.93),
        (28, 3.0, "velocity", 47.5, 47.5, 18.6),
        (50, 1.0, "noise", 0.6, 7.66, 5.12),
        (50, 3.0, "velocity", 87.3, 87.3, 34.1),
    ],
)
def test_how_strong_cfgpp_is_on_diffusers_levels(
    steps: int, shift: float, renoise: str, first: float, most: float, mean: float
) -> None:
    """Numbers of a separate calculation, lam 0.6. Theirs end at a thousandth of the noise: not quite ours."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    found = [effective_weight(0.6, s, after, renoise) for s, after in pairwise(scheduler.sigmas.tolist())]
    assert (found[0], max(found), found[-1], sum(found) / steps) == pytest.approx((first, most, 0.6, mean), rel=3e-3)


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_tcfg(preds: dict, scale: float) -> None:
    """Theirs takes the singular vectors in fp32."""
    guider = at(TangentialClassifierFreeGuidance(scale), 5)
    got = ours(TCFG(scale), preds)
    torch.testing.assert_close(got, guider.forward(preds[COND], preds[UNCOND]).pred, rtol=2e-5, atol=2e-5)
    assert scale == 1 or not torch.allclose(got, ours(CFG(scale), preds), rtol=1e-2)


@pytest.mark.parametrize("alpha", [0.5, 8.0])
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_mambo_g_on_flat_predictions(preds: dict, scale: float, alpha: float) -> None:
    flat = {branch: value.flatten(1) for branch, value in preds.items()}
    guider = at(MagnitudeAwareGuidance(scale, alpha), 5)
    torch.testing.assert_close(ours(MamboG(scale, alpha), flat), guider.forward(flat[COND], flat[UNCOND]).pred, **EXACT)
    shaped = ours(MamboG(scale, alpha), preds)
    torch.testing.assert_close(shaped.flatten(1), ours(MamboG(scale, alpha), flat), **EXACT)


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(2, 2)])


def test_what_is_known_to_be_broken_still_is() -> None:
    """If one of these fails, diffusers has mended it: say so above, and compare with it."""
    guider = at(SmoothedEnergyGuidance(3.0, 2.8, seg_guidance_config=BLURRED), 5)
    guider.prepare_models(Blocks())
    assert guider._count_prepared == 0  # so the third pass never looks like the third, and nothing is blurred
    with pytest.raises(AttributeError, match="is_conditional"):
        _ = at(TangentialClassifierFreeGuidance(3.0), 5).is_conditional
    image = torch.ones(1, 2, 4, 4)
    with pytest.raises(RuntimeError, match="dim"):
        at(MagnitudeAwareGuidance(3.0), 5).forward(image, 2 * image)
    config = SkipLayerGuidance(3.0, skip_layer_guidance_layers=[7, 8, 9]).skip_layer_config[0]
    assert config.indices == 7  # an int, where the hook iterates

"""Our equations against numbers that other people's code made; how is in golden/make_*.py beside the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from guidance.cases import step_at
from guidance.golden import make_fdg, make_nag, make_smc_cfg
from torch import nn

from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.rivals.fdg import FDG
from s2g.guidance.rivals.smc_cfg import SMCCFG
from s2g.guidance.window import Window, Windowed
from s2g.network.attention import led_away
from s2g.network.blocks import RULES
from s2g.network.branch import COND, UNCOND, NormalizedAttention

GOLDEN = Path(__file__).with_name("golden")


@pytest.mark.parametrize("case", make_fdg.CASES)
def test_fdg_is_diffusers_guider(case: str) -> None:
    (high, *_, low), parallel = make_fdg.CASES[case]
    method = FDG(low, high, levels=len(make_fdg.CASES[case][0]), parallel=parallel)
    assert method.scales == pytest.approx(make_fdg.CASES[case][0])
    cond, uncond = make_fdg.inputs()
    want = np.load(GOLDEN / "fdg.npz")[case]
    np.testing.assert_allclose(
        make_fdg.kept(method.combine({COND: cond, UNCOND: uncond}, step_at(), {})), want, rtol=0, atol=1e-12
    )
    # All three parts show: with CFG, without the weight, or with levels exchanged it is another result.
    others: list[Guidance] = [CFG(low), FDG(high, low, method.levels, parallel), FDG(low, high, 5 - method.levels, parallel)]
    others += [FDG(low, high, method.levels)] if parallel != 1 else []
    for other in others:
        apart = make_fdg.kept(other.combine({COND: cond, UNCOND: uncond}, step_at(), {})) - want
        assert np.abs(apart).max() > 0.1, other


@pytest.mark.parametrize("case", make_smc_cfg.CASES)
def test_smc_cfg_is_the_official_code_step_after_step(case: str) -> None:
    rate, gain, warm_up = make_smc_cfg.CASES[case]
    method: Guidance = SMCCFG(make_smc_cfg.SCALE, rate, gain)
    if warm_up:  # two of six steps, conditional alone; the memory begins with the third
        method = Windowed(method, Window(0.34, 1.0))
    want, state, switched = np.load(GOLDEN / "smc_cfg.npz")[case], method.start(), 0
    for index in range(make_smc_cfg.STEPS):
        cond, uncond = make_smc_cfg.inputs(index)
        step, preds = step_at(index, make_smc_cfg.STEPS), {COND: cond, UNCOND: uncond}
        np.testing.assert_allclose(method.combine(preds, step, state).numpy(), want[index], rtol=0, atol=1e-12)
        plain = CFG(make_smc_cfg.SCALE).combine(preds, step, {}).numpy()
        switched += bool(np.allclose(np.abs(want[index] - plain), make_smc_cfg.SCALE * gain))
    assert switched == make_smc_cfg.STEPS - warm_up  # every entry of every other step is moved by scale times gain


@pytest.mark.parametrize("case", make_nag.CASES)
@pytest.mark.parametrize("stream", make_nag.STREAMS)
def test_nag_is_the_official_flux_processor(case: str, stream: str) -> None:
    block = nn.Module()
    block.attn = make_nag.attention(stream)
    kind = {"double": "FluxTransformerBlock", "single": "FluxSingleTransformerBlock"}[stream]
    image, text = make_nag.inputs()
    images = torch.cat([image, image])
    edits = [NormalizedAttention(*make_nag.CASES[case]), NormalizedAttention(1.0, 2.5, 0.25)]
    found = []
    for edit in edits:
        with torch.no_grad(), led_away(block, 0, RULES["diffusers", kind], edit, make_nag.TEXT):
            if stream == "double":
                guided, texts = block.attn(images, text)
                found.append(torch.cat([texts, guided], dim=1).numpy())
            else:
                found.append(block.attn(torch.cat([text, images], dim=1)).numpy())
    want = np.load(GOLDEN / "nag.npz")[f"{case}, {stream}"]
    # NAG's own arithmetic is in fp32.
    np.testing.assert_allclose(found[0], want, rtol=0, atol=2e-5)
    assert np.abs(found[1] - want).max() > 0.01  # without guidance it is another result

"""Guiders in modular pipelines: Wan is our engine to the bit, SD3 within the rounding of its separate passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.pag import PAG
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.window import Window
from s2g.integrations.diffusers.modular import PerturbedGuidance, S2Guidance, SkippedLayersGuidance
from s2g.network.attention import SLOT
from s2g.network.reuse_check import VERDICTS
from tests.modular_pipelines import modular, modular_latents
from tests.offline_pipelines import made, start
from tests.small_pipelines import BUILD, PROMPT, SAMPLERS, SCALE

PAIRS: dict[str, tuple[Callable[[], Any], Guidance]] = {
    "s2": (lambda: S2Guidance(SCALE, 0.5, drop=2, seed=4, start=0.0, stop=1.0),
           S2(CFG(SCALE), omega=0.5, drop=2, window=Window(0.0, 1.0))),
    "s2 central": (lambda: S2Guidance(SCALE, 0.5, seed=4), S2(CFG(SCALE), omega=0.5)),
    "slg": (lambda: SkippedLayersGuidance((1, 3), SCALE, start=0.0, stop=0.6), SLG(CFG(SCALE), (1, 3), Window(0.0, 0.6))),
    "pag": (lambda: PerturbedGuidance((2,), SCALE), PAG(CFG(SCALE), (2,))),
    "no cfg": (lambda: S2Guidance(1.0, 0.5, seed=4), S2(CFG(1.0), omega=0.5)),
}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("name", ["wan", "sd3"])
def test_a_guider_is_our_engine(name: str, pair: Any, pipelines: Callable[[str], Any]) -> None:
    guider, method = pair[0](), pair[1]
    pipeline = pipelines(name)
    denoiser = BUILD[name][1](pipeline)
    ours, _ = made(denoiser, method, SAMPLERS[name], [PROMPT])
    latents = modular_latents(name, modular(name, pipeline, guider), start(denoiser, 1))
    if name == "wan":
        assert torch.equal(latents, ours.latents)
    else:  # it calls cond and uncond apart, and the stock pipeline in one batch, which rounds otherwise
        torch.testing.assert_close(latents, ours.latents, rtol=0, atol=4e-6)  # of latents of std 1.2
    assert guider.masks == ours.masks
    assert VERDICTS.get(pipeline.transformer) in (True, None) and not any(getattr(b, SLOT) for b in denoiser.blocks)


def test_it_is_saved_and_loaded_with_its_settings(tmp_path: Path) -> None:
    S2Guidance(3.0, 0.5, drop=3, protect=(0, 1), seed=9).save_pretrained(tmp_path)
    loaded = S2Guidance.from_pretrained(tmp_path)
    assert loaded.method == S2(CFG(3.0), omega=0.5, drop=3, protect=(0, 1)) and loaded.config["seed"] == 9
    assert loaded.new(omega=1.0).method == S2(CFG(3.0), omega=1.0, drop=3, protect=(0, 1))


def test_nothing_is_left_after_an_exception(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("wan")
    denoiser, guider = BUILD["wan"][1](pipeline), PAIRS["s2"][0]()
    pipe = modular("wan", pipeline, guider)
    noise = start(denoiser, 1)
    before = modular_latents("wan", pipe, noise)
    block = pipeline.transformer.blocks[4]
    block.forward = lambda *args, **kwargs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        modular_latents("wan", pipe, noise)
    del block.forward
    assert not any(getattr(b, SLOT) for b in denoiser.blocks) and not pipeline.transformer._forward_hooks
    assert torch.equal(modular_latents("wan", pipe, noise), before)

"""Guiders in modular pipelines: Wan is our engine to the bit, SD3 within the rounding of its separate passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.modular_pipelines import StableDiffusion3AutoBlocks, WanBlocks
from torch import Tensor

from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.pag import PAG
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.window import Window
from s2g.integrations.diffusers.modular import PerturbedGuidance, S2Guidance, SkippedLayersGuidance
from s2g.network.attention import SLOT
from s2g.network.reuse_check import VERDICTS
from tests.offline_pipelines import FRAMES, HEIGHT, SIDE, WIDTH, made, start
from tests.small_pipelines import BUILD, PROMPT, SAMPLERS, SCALE, STEPS

PAIRS: dict[str, tuple[Callable[[], Any], Guidance]] = {
    "s2": (lambda: S2Guidance(SCALE, 0.5, drop=2, seed=4, start=0.0, stop=1.0),
           S2(CFG(SCALE), omega=0.5, drop=2, window=Window(0.0, 1.0))),
    "s2 central": (lambda: S2Guidance(SCALE, 0.5, seed=4), S2(CFG(SCALE), omega=0.5)),
    "slg": (lambda: SkippedLayersGuidance((1, 3), SCALE, start=0.0, stop=0.6), SLG(CFG(SCALE), (1, 3), Window(0.0, 0.6))),
    "pag": (lambda: PerturbedGuidance((2,), SCALE), PAG(CFG(SCALE), (2,))),
    "no cfg": (lambda: S2Guidance(1.0, 0.5, seed=4), S2(CFG(1.0), omega=0.5)),
}  # fmt: skip


def modular(name: str, pipeline: Any, guider: Any) -> Any:
    blocks = WanBlocks() if name == "wan" else StableDiffusion3AutoBlocks()
    pipe = blocks.init_pipeline()
    wanted = set(pipe._component_specs)
    pipe.update_components(**{k: v for k, v in pipeline.components.items() if k in wanted and v is not None}, guider=guider)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def latents_of(name: str, pipe: Any, noise: Tensor) -> Tensor:
    sizes = {"height": HEIGHT, "width": WIDTH, "num_frames": FRAMES} if name == "wan" else {"height": SIDE, "width": SIDE}
    common = {"prompt": PROMPT, "negative_prompt": "", "latents": noise.clone(), "num_inference_steps": STEPS, **sizes}
    return pipe(**common, output="latents")


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("name", ["wan", "sd3"])
def test_a_guider_is_our_engine(name: str, pair: Any, pipelines: Callable[[str], Any]) -> None:
    guider, method = pair[0](), pair[1]
    pipeline = pipelines(name)
    denoiser = BUILD[name][1](pipeline)
    ours, _ = made(denoiser, method, SAMPLERS[name], [PROMPT])
    latents = latents_of(name, modular(name, pipeline, guider), start(denoiser, 1))
    if name == "wan":
        assert torch.equal(latents, ours.latents)
    else:  # it calls cond and uncond apart, and the stock pipeline in one batch, which rounds otherwise
        torch.testing.assert_close(latents, ours.latents, rtol=0, atol=4e-5)
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
    before = latents_of("wan", pipe, noise)
    block = pipeline.transformer.blocks[4]
    block.forward = lambda *args, **kwargs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        latents_of("wan", pipe, noise)
    del block.forward
    assert not any(getattr(b, SLOT) for b in denoiser.blocks) and not pipeline.transformer._forward_hooks
    assert torch.equal(latents_of("wan", pipe, noise), before)

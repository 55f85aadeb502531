"""Small classic pipelines for tests of the door: how they are built, run and driven by our own loop."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.sampling.levels import shift_of_tokens
from s2g.sampling.schedulers import FlowMatchEuler, FluxEuler, UniPC
from tests.offline_pipelines import (
    FRAMES,
    HEIGHT,
    SIDE,
    WIDTH,
    flux_denoiser,
    flux_pipeline,
    sd3_denoiser,
    sd3_pipeline,
    wan_denoiser,
    wan_pipeline,
)

STEPS, SCALE = 5, 3.5
PROMPT = "a red book and an ivory sheep"
# 0.5 weighs S2's term enough to be seen; the masks of unit 0 and mask seed 4 are those of `made`.
WHOLE = S2(CFG(SCALE), omega=0.5, drop=2, window=Window(0.0, 1.0))
CENTRAL = S2(CFG(SCALE), omega=0.5, drop=1)
SIZES = {"sd3": {"height": SIDE, "width": SIDE}, "flux": {"height": SIDE, "width": SIDE}}
SIZES["wan"] = {"height": HEIGHT, "width": WIDTH, "num_frames": FRAMES}
# What switches the pipeline's CFG on, with a scale of its own that must not count.
SWITCH = {
    "sd3": {"guidance_scale": 2.0},
    "wan": {"guidance_scale": 2.0},
    "flux": {"negative_prompt": "", "true_cfg_scale": 2.0},
}
BUILD = {"sd3": (sd3_pipeline, sd3_denoiser), "flux": (flux_pipeline, flux_denoiser), "wan": (wan_pipeline, wan_denoiser)}
SAMPLERS = {
    "sd3": FlowMatchEuler(steps=STEPS, shift=3.0),
    "flux": FluxEuler(steps=STEPS, shift=shift_of_tokens((SIDE // 16) ** 2)),
    "wan": UniPC(steps=STEPS, shift=3.0),
}


def latents_of(pipeline: Any, name: str, noise: Tensor, **more: Any) -> Tensor:
    """What the pipeline's own __call__ makes of a prompt, one image for each item of noise."""
    copies = {"num_videos_per_prompt" if name == "wan" else "num_images_per_prompt": len(noise)}
    common = {"latents": noise.clone(), "output_type": "latent", "num_inference_steps": STEPS}
    given = {**common, "negative_prompt": "", **copies, **SIZES[name], **SWITCH[name], **more}
    found = pipeline(PROMPT, **given)
    return found.frames if name == "wan" else found.images

"""Modular pipelines made of the small classic ones."""

from __future__ import annotations

from typing import Any

from diffusers.modular_pipelines import StableDiffusion3AutoBlocks, WanBlocks
from torch import Tensor

from tests.offline_pipelines import FRAMES, HEIGHT, SIDE, WIDTH
from tests.small_pipelines import PROMPT, STEPS


def modular(name: str, pipeline: Any, guider: Any) -> Any:
    blocks = WanBlocks() if name == "wan" else StableDiffusion3AutoBlocks()
    pipe = blocks.init_pipeline()
    wanted = set(pipe._component_specs)
    pipe.update_components(**{k: v for k, v in pipeline.components.items() if k in wanted and v is not None}, guider=guider)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def modular_latents(name: str, pipe: Any, noise: Tensor) -> Tensor:
    sizes = {"height": HEIGHT, "width": WIDTH, "num_frames": FRAMES} if name == "wan" else {"height": SIDE, "width": SIDE}
    common = {"prompt": PROMPT, "negative_prompt": "", "latents": noise.clone(), "num_inference_steps": STEPS, **sizes}
    return pipe(**common, output="latents")

"""Pipelines that begin from an image or a video, around the transformers of the others: counted steps, the same door.

With omega 0 each is its bare pipeline; a resumed pass is the whole one; and S2 makes something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from s2g.integrations.diffusers.door import PipelineDoor
from tests.offline_pipelines import FRAMES, HEIGHT, WIDTH, flux_pipeline, wan_pipeline
from tests.qwen_pipeline import qwen_pipeline
from tests.small_pipelines import PROMPT, SCALE, WHOLE

STEPS, STRENGTH = 5, 0.6
TAKEN = 3  # of the five
BUILT: dict[str, Callable[..., Any]] = {"flux": flux_pipeline, "wan": wan_pipeline, "qwen": qwen_pipeline}


def rest(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


MASK = torch.zeros(1, 1, 64, 64)
MASK[..., 32:] = 1
IMAGE = {"image": rest(1, 3, 64, 64), "height": 64, "width": 64}
FROM_IMAGE = IMAGE | {"strength": STRENGTH}
FILM = {"video": list(rest(FRAMES, 3, HEIGHT, WIDTH)), "height": HEIGHT, "width": WIDTH, "strength": STRENGTH}
TRUE = {"negative_prompt": ""}
CASES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "FluxImg2ImgPipeline": ("flux", "true_cfg_scale", FROM_IMAGE | TRUE, TAKEN),
    "FluxInpaintPipeline": ("flux", "true_cfg_scale", FROM_IMAGE | TRUE | {"mask_image": MASK}, TAKEN),
    "FluxKontextPipeline": ("flux", "true_cfg_scale", IMAGE | TRUE | {"max_area": 64 * 64, "_auto_resize": False}, STEPS),
    "QwenImageImg2ImgPipeline": ("qwen", "true_cfg_scale", FROM_IMAGE | {"negative_prompt": " "}, TAKEN),
    "QwenImageInpaintPipeline": ("qwen", "true_cfg_scale", FROM_IMAGE | {"negative_prompt": " ", "mask_image": MASK}, TAKEN),
    "WanVideoToVideoPipeline": ("wan", "guidance_scale", FILM, TAKEN),
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    made: dict[str, Any] = {}

    def get(name: str) -> dict[str, Any]:
        if name not in made:
            made[name] = BUILT[name](tmp_path_factory.mktemp(name)).components
        return made[name]

    return get


@pytest.mark.slow("more pipelines")
@pytest.mark.parametrize("name", CASES)
def test_it_is_guided_like_the_pipeline_whose_transformer_it_has(name: str, parts: Callable[[str], dict[str, Any]]) -> None:
    base, scale, given, steps = CASES[name]
    kind = getattr(diffusers, name)
    wanted = kind.__init__.__annotations__ | dict.fromkeys(kind._optional_components)
    pipeline = kind(**{key: part for key, part in parts(base).items() if key in wanted})
    pipeline.set_progress_bar_config(disable=True)

    def make(own: float) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        more = {"num_inference_steps": STEPS, "output_type": "latent", "generator": generator, "return_dict": False}
        return pipeline(prompt=PROMPT, **given, **more, **{scale: own})[0]

    bare = make(SCALE)
    assert bare.isfinite().all()
    with PipelineDoor(pipeline, replace(WHOLE, omega=0.0)) as door:
        assert torch.equal(make(1.5), bare)
    assert len(door.masks) == steps
    with PipelineDoor(pipeline, WHOLE, reuse=False):
        whole = make(1.5)
    with PipelineDoor(pipeline, WHOLE):
        assert torch.equal(make(1.5), whole)
    assert (whole - bare).abs().max() > 1e-3 * bare.abs().max()

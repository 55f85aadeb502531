"""What a first user does wrong at the door: each is refused with its reason and what to do, or warned of; none is silent."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import StableDiffusion3Img2ImgPipeline

import s2g
from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.window import Window, Windowed
from s2g.integrations.diffusers.door import PipelineDoor
from tests.offline_pipelines import start
from tests.small_pipelines import BUILD, WHOLE, latents_of


class ModularPipeline:
    """Known by its name, as diffusers' own, which a script may have without importing it."""


class OfUNet:
    unet = object()

    def __call__(self) -> None: ...


class Called:
    def __call__(self) -> None: ...


TARGETS = [
    (None, "given a NoneType, and no pipeline or network"),
    ("stabilityai/stable-diffusion-3.5-medium", r"given a str(.|\n)*do: load it first"),
    (StableDiffusion3Img2ImgPipeline, "given the class StableDiffusion3Img2ImgPipeline"),
    (WHOLE, "given a S2"),
    (ModularPipeline(), r"its loop asks a guider(.|\n)*S2Guidance\("),
    (OfUNet(), "its network is a U-Net"),
    (Called(), "pipeline class Called is not known"),
]


@pytest.mark.parametrize(("target", "problem"), TARGETS, ids=lambda value: type(value).__name__)
def test_what_is_no_pipeline_is_called_by_its_name(target: Any, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        s2g.guide(target, WHOLE)


METHODS = [
    ({"method": "s2"}, "method = 's2': a str, and no method"),
    ({"method": S2}, "the class S2, and no method"),
    ({"method": S2(0.25)}, "method = 0.25: a float, and no method"),  # omega in the place of the base
    ({"method": S2(window=(0.1, 0.9))}, r"S2: window = \(0.1, 0.9\)\n  allowed: s2g.Window\(0.1, 0.9\)"),
    ({"method": WHOLE, "scale": float("nan")}, "scale = nan"),
    ({"method": WHOLE, "seed": -1}, "seed = -1"),
    ({"method": WHOLE, "seed": None}, "seed = None"),
    ({"method": WHOLE, "seed": torch.Generator()}, r"the seed of the masks is a number(.|\n)*do: the noise is the pipeline's"),
]


@pytest.mark.parametrize(("given", "problem"), METHODS, ids=range(len(METHODS)))
def test_what_is_no_method_scale_or_seed_is_refused(given: Any, problem: str, pipelines: Callable[[str], Any]) -> None:
    for target in (pipelines("sd3"), pipelines("sd3").transformer):
        with pytest.raises(UserError, match=problem):
            s2g.guide(target, **given)


@pytest.mark.parametrize("method", [SLG(layers=(1,)), S2(), Windowed(CFG(), Window(0.4, 0.5))], ids=["slg", "s2", "interval"])
def test_a_method_that_acts_in_no_step_is_refused(method: Any, pipelines: Callable[[str], Any]) -> None:
    """SLG's own window holds the steps between 0.01 and 0.2 of all: none of one or three."""
    pipeline, steps = pipelines("sd3"), 1 if isinstance(method, S2) else 3
    noise = start(BUILD["sd3"][1](pipeline), 1)
    with PipelineDoor(pipeline, method), pytest.raises(UserError, match=rf"acts in none of the {steps} steps"):
        latents_of(pipeline, "sd3", noise, num_inference_steps=steps)
    with s2g.guide(pipeline.transformer, method) as guided, pytest.raises(UserError, match="acts in none"):
        guided.begin([1 - i / steps for i in range(steps + 1)])


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("name", ["sd3", "wan"])
def test_a_callback_that_switches_cfg_off_is_refused(name: str, copies: int, pipelines: Callable[[str], Any]) -> None:
    """diffusers' recipe for dynamic CFG; without CFG, two rows are two items and not two conditions."""
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), copies)
    texts = ["prompt_embeds", "pooled_prompt_embeds"] if name == "sd3" else ["prompt_embeds"]

    def off(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        if step == 1:
            pipe._guidance_scale = 0.0
            halves = {text: given[text][-copies:] for text in texts}
            given = given | (halves if name == "sd3" else {})
        return given

    with PipelineDoor(pipeline, WHOLE), pytest.raises(UserError, match="no unconditional prediction from step 2 on"):
        latents_of(pipeline, name, noise, callback_on_step_end=off, callback_on_step_end_tensor_inputs=["latents", *texts])


def test_a_door_of_no_use_says_so(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("sd3")
    noise = start(BUILD["sd3"][1](pipeline), 1)
    bare = latents_of(pipeline, "sd3", noise)
    with pytest.warns(RuntimeWarning, match="its context never entered"):
        s2g.guide(pipeline, WHOLE)
    with pytest.warns(RuntimeWarning, match="this StableDiffusion3Pipeline was not called"), s2g.guide(pipeline, WHOLE):
        pass
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with s2g.guide(pipeline, WHOLE):
            latents_of(pipeline, "sd3", noise)
        with pytest.raises(UserError):
            s2g.guide(pipeline, WHOLE, seed=-1)
        with pytest.raises(UserError, match="already guided"), s2g.guide(pipeline, WHOLE), s2g.guide(pipeline, WHOLE):
            pass
        with s2g.guide(pipeline, WHOLE), pytest.raises(UserError, match="no unconditional prediction"):
            latents_of(pipeline, "sd3", noise, guidance_scale=1.0)
        assert not [warning for warning in said if "guide" in str(warning.message)]
    with (
        pytest.warns(RuntimeWarning, match="a pipeline is guided as itself, not as its transformer"),
        s2g.guide(pipeline.transformer, WHOLE),
    ):
        assert torch.equal(latents_of(pipeline, "sd3", noise), bare)  # nothing was guided

"""The classic pipelines under guidance: bit for bit our engine, and the bare pipeline where omega is 0."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Img2ImgPipeline
from diffusers.hooks import FirstBlockCacheConfig
from torch.overrides import TorchFunctionMode

from s2g.errors import UserError
from s2g.guidance.adg import ADG
from s2g.guidance.apg import APG
from s2g.guidance.autoguidance import Autoguidance
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.cfgpp import CFGPP
from s2g.guidance.pag import PAG
from s2g.guidance.rivals.fdg import FDG
from s2g.guidance.rivals.nag import NAG
from s2g.guidance.rivals.rectified_cfgpp import RectifiedCFGPP
from s2g.guidance.rivals.tag import TAG
from s2g.guidance.rivals.tcfg import TCFG
from s2g.guidance.rivals.tdg import TDG
from s2g.guidance.s2 import S2
from s2g.guidance.seg import SEG
from s2g.guidance.slg import SLG
from s2g.guidance.stg import STG
from s2g.guidance.window import ALWAYS, Window, Windowed
from s2g.integrations.diffusers import layouts
from s2g.integrations.diffusers.door import PipelineDoor
from s2g.network.attention import SLOT
from tests.offline_pipelines import made, sd3_network, start
from tests.small_pipelines import BUILD, CENTRAL, PROMPT, SAMPLERS, SCALE, STEPS, WHOLE, latents_of

ONE_DAILY = ["sd3", *(pytest.param(name, marks=pytest.mark.slow("more pipelines")) for name in BUILD if name != "sd3")]


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("method", [WHOLE, CENTRAL, CFG(SCALE)], ids=["whole", "central", "cfg"])
@pytest.mark.parametrize("name", ONE_DAILY)
def test_a_guided_pipeline_is_our_engine_to_the_bit(
    name: str, method: Any, copies: int, pipelines: Callable[[str], Any]
) -> None:
    pipeline = pipelines(name)
    denoiser = BUILD[name][1](pipeline)
    ours, _ = made(denoiser, method, SAMPLERS[name], [PROMPT] * copies)
    with PipelineDoor(pipeline, method, seed=4) as door:
        latents = latents_of(pipeline, name, start(denoiser, copies))
    assert torch.equal(latents, ours.latents)
    assert door.masks == ours.masks


OTHERS = {
    "slg": SLG(CFG(SCALE), layers=(2, 4), window=ALWAYS),
    "stg": STG(CFG(SCALE), layers=(3,), mode="attention"),
    "pag": PAG(CFG(SCALE), layers=(1, 5)),
    "seg": SEG(CFG(SCALE), layers=(1, 2), sigma=1.0),
    "apg": APG(SCALE),
    "adg": ADG(SCALE),
    "cfg_zero": CFGZero(SCALE),
    "interval": Windowed(CFG(SCALE), Window(0.2, 0.8)),
    "s2 over cfg_zero": S2(CFGZero(SCALE), omega=0.5, drop=2, window=ALWAYS),
    "s2 over apg": S2(APG(SCALE, form="diffusers"), omega=0.5, drop=1),
    "no guidance": CFG(1.0),
    "tcfg": TCFG(SCALE),
}


@pytest.mark.parametrize("method", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("name", ONE_DAILY)
def test_every_method_is_our_engine_to_the_bit(name: str, method: Any, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    denoiser = BUILD[name][1](pipeline)
    ours, _ = made(denoiser, method, SAMPLERS[name], [PROMPT])
    with PipelineDoor(pipeline, method, seed=4):
        latents = latents_of(pipeline, name, start(denoiser, 1))
    assert torch.equal(latents, ours.latents)


@pytest.mark.parametrize("name", BUILD)
def test_methods_that_need_more_than_two_calls_a_step_are_refused(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    for method in (NAG(CFG(SCALE)), TDG(), RectifiedCFGPP()):
        with PipelineDoor(pipeline, method), pytest.raises(UserError, match=r"evaluates|needs"):
            latents_of(pipeline, name, noise)


def test_a_method_of_rows_and_columns_is_refused_on_packed_latents(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("flux")
    with PipelineDoor(pipeline, FDG()), pytest.raises(UserError, match="packs them into tokens"):
        latents_of(pipeline, "flux", start(BUILD["flux"][1](pipeline), 1))


@pytest.mark.parametrize("method", [CFGPP(lam=0.6), TAG(CFG(SCALE))], ids=["cfgpp", "tag"])
@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_methods_for_euler_are_our_engine_to_the_bit(name: str, method: Any, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    denoiser = BUILD[name][1](pipeline)
    ours, _ = made(denoiser, method, SAMPLERS[name], [PROMPT])
    with PipelineDoor(pipeline, method):
        latents = latents_of(pipeline, name, start(denoiser, 1))
    assert torch.equal(latents, ours.latents)


@pytest.mark.parametrize("name", BUILD)
def test_omega_zero_is_the_bare_pipeline_to_the_bit(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 2)
    scale = {"true_cfg_scale" if name == "flux" else "guidance_scale": SCALE}
    bare = latents_of(pipeline, name, noise, **scale)
    with PipelineDoor(pipeline, replace(WHOLE, omega=0.0)):
        assert torch.equal(latents_of(pipeline, name, noise), bare)
    with PipelineDoor(pipeline, S2(omega=0.0), scale=SCALE):  # the scale of the method inside
        assert torch.equal(latents_of(pipeline, name, noise), bare)
    with PipelineDoor(pipeline, WHOLE):
        assert not torch.equal(latents_of(pipeline, name, noise), bare)


def test_the_pipelines_own_scale_has_no_effect(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("sd3")
    noise = start(BUILD["sd3"][1](pipeline), 1)
    with PipelineDoor(pipeline, WHOLE):
        once = latents_of(pipeline, "sd3", noise, guidance_scale=2.0)
        assert torch.equal(latents_of(pipeline, "sd3", noise, guidance_scale=9.0), once)


def test_slg_is_sd3s_own(pipelines: Callable[[str], Any]) -> None:
    """The pipeline's own skip layer guidance, which calls its network a second time with skip_layers."""
    pipeline = pipelines("sd3")
    noise = start(BUILD["sd3"][1](pipeline), 1)
    own = {"skip_guidance_layers": [2, 4], "skip_layer_guidance_scale": 2.0}
    own |= {"skip_layer_guidance_start": 0.0, "skip_layer_guidance_stop": 1.0}
    theirs = latents_of(pipeline, "sd3", noise, guidance_scale=SCALE, **own)
    # Strict, as theirs: not in step 0.
    ours = SLG(CFG(SCALE), layers=(2, 4), slg_scale=2.0, window=Window(0.0, 1.0, "strict"))
    with PipelineDoor(pipeline, ours, reuse=False):
        assert torch.equal(latents_of(pipeline, "sd3", noise), theirs)
    with PipelineDoor(pipeline, ours):  # resumed from half of a batch of two, which rounds otherwise
        torch.testing.assert_close(latents_of(pipeline, "sd3", noise), theirs, rtol=0, atol=2e-5)
        with pytest.raises(UserError, match="own skip layer guidance is on"):
            latents_of(pipeline, "sd3", noise, **own)


def test_autoguidance_takes_a_second_transformer(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("sd3")
    noise = start(BUILD["sd3"][1](pipeline), 1)
    with PipelineDoor(pipeline, CFG(1.0)):
        alone = latents_of(pipeline, "sd3", noise)
    other = copy.deepcopy(pipeline.transformer)
    with PipelineDoor(pipeline, Autoguidance(2.0), weak=other):  # the same network: nothing to steer away from
        assert torch.equal(latents_of(pipeline, "sd3", noise), alone)
    with PipelineDoor(pipeline, Autoguidance(2.0), weak=sd3_network(second=False)):
        assert not torch.equal(latents_of(pipeline, "sd3", noise), alone)
    with PipelineDoor(pipeline, Autoguidance(2.0)), pytest.raises(UserError, match="weak=ANOTHER_TRANSFORMER"):
        latents_of(pipeline, "sd3", noise)


@pytest.mark.parametrize("name", BUILD)
def test_bf16_is_within_the_pipelines_own_rounding(name: str, pipelines: Callable[[str], Any]) -> None:
    """The pipeline's arithmetic of CFG is in bf16, ours in fp32 and rounded once: the difference is a few of its roundings."""
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    scale = {"true_cfg_scale" if name == "flux" else "guidance_scale": SCALE}
    before, whole = pipeline.transformer, latents_of(pipeline, name, noise, **scale)
    encoders = {key: part for key, part in pipeline.components.items() if key.startswith("text_encoder")}
    try:
        pipeline.transformer = copy.deepcopy(before).bfloat16()
        halved = {key: copy.deepcopy(part).bfloat16() for key, part in encoders.items()}
        pipeline.register_modules(**halved)
        bare = latents_of(pipeline, name, noise.bfloat16(), **scale).float()
        with PipelineDoor(pipeline, replace(WHOLE, omega=0.0)):
            guided = latents_of(pipeline, name, noise.bfloat16()).float()
    finally:
        pipeline.register_modules(transformer=before, **encoders)
    # The rounding of the whole pipeline, against fp32, is the measure.
    rounding = (bare - whole).square().mean().sqrt()
    assert (guided - bare).square().mean().sqrt() < rounding
    assert (guided - whole).square().mean().sqrt() < 1.5 * rounding


def test_image_to_image_counts_the_steps_that_it_takes(pipelines: Callable[[str], Any]) -> None:
    pipeline = StableDiffusion3Img2ImgPipeline(**pipelines("sd3").components)
    pipeline.set_progress_bar_config(disable=True)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    common = {"prompt": PROMPT, "image": image, "strength": 0.6, "num_inference_steps": 10, "output_type": "latent"}

    def latents(**more: Any) -> Any:
        return pipeline(**common, generator=torch.Generator().manual_seed(1), **more).images

    bare = latents(guidance_scale=SCALE)
    with PipelineDoor(pipeline, replace(WHOLE, omega=0.0)) as door:
        assert torch.equal(latents(), bare)
    assert len(door.masks) == 6
    with PipelineDoor(pipeline, S2(CFG(SCALE), omega=0.5, drop=1)) as door:
        assert not torch.equal(latents(), bare)
    assert [bool(masks) for masks in door.masks] == [True, True, True, True, True, False]  # 0.6 to 5.4 of six


def test_callbacks_generators_and_repeated_runs(pipelines: Callable[[str], Any]) -> None:
    pipeline, seen = pipelines("sd3"), []

    def callback(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        seen.append((step, given["latents"].shape))
        return given

    def run() -> Any:
        generator = torch.Generator().manual_seed(7)
        common = {"num_inference_steps": 3, "height": 64, "width": 64, "output_type": "latent"}
        return pipeline(PROMPT, generator=generator, callback_on_step_end=callback, num_images_per_prompt=2, **common).images

    with PipelineDoor(pipeline, WHOLE, seed=1):
        first = run()
        assert torch.equal(run(), first)
    assert [step for step, _ in seen] == [0, 1, 2, 0, 1, 2]
    with PipelineDoor(pipeline, WHOLE, seed=2):
        assert not torch.equal(run(), first)


def test_two_pipelines_in_two_threads(pipelines: Callable[[str], Any]) -> None:
    names = ["sd3", "flux"]
    noise = {name: start(BUILD[name][1](pipelines(name)), 1) for name in names}
    methods = {"sd3": OTHERS["pag"], "flux": WHOLE}
    results: dict[str, torch.Tensor] = {}

    def run(name: str) -> None:
        with PipelineDoor(pipelines(name), methods[name]):
            results[name] = latents_of(pipelines(name), name, noise[name])

    for name in names:
        run(name)
    alone = dict(results)
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(results[name], alone[name]) for name in names)


def traces(pipeline: Any) -> list[Any]:
    """Everything that the door touches."""
    modules = [pipeline.transformer, *pipeline.transformer.modules()]
    return [
        *(getattr(module, SLOT) for module in modules),
        vars(pipeline).get("progress_bar"),
        vars(pipeline.scheduler).get("step"),
    ]


@pytest.mark.parametrize("name", BUILD)
def test_nothing_is_left_on_exit_or_after_an_exception(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    before, bare = traces(pipeline), latents_of(pipeline, name, noise)

    def fails(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    with PipelineDoor(pipeline, WHOLE) as door:
        assert traces(pipeline) != before
        guided = latents_of(pipeline, name, noise)
        with pytest.raises(KeyboardInterrupt):
            latents_of(pipeline, name, noise, callback_on_step_end=fails)
        assert torch.equal(latents_of(pipeline, name, noise), guided)  # the next run begins anew
    with pytest.raises(KeyboardInterrupt), PipelineDoor(pipeline, WHOLE):
        latents_of(pipeline, name, noise, callback_on_step_end=fails)
    assert traces(pipeline) == before
    assert torch.equal(latents_of(pipeline, name, noise), bare)
    assert len(door.masks) == STEPS


OFF = {
    "sd3": {"guidance_scale": 1.0},
    "flux": {"true_cfg_scale": 1.0},
    "wan": {"guidance_scale": 1.0},
}


@pytest.mark.parametrize("name", BUILD)
def test_a_pipeline_without_cfg_is_refused(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    with PipelineDoor(pipeline, WHOLE), pytest.raises(UserError, match="makes no unconditional prediction"):
        latents_of(pipeline, name, noise, **OFF[name])


def test_a_cache_that_skips_blocks_is_refused(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("wan")
    noise = start(BUILD["wan"][1](pipeline), 1)
    pipeline.transformer.enable_cache(FirstBlockCacheConfig())
    try:
        with pytest.raises(UserError, match="FirstBlockCacheConfig is on"), PipelineDoor(pipeline, WHOLE):
            pass
    finally:
        pipeline.transformer.disable_cache()
    with PipelineDoor(pipeline, WHOLE):
        pipeline.transformer.enable_cache(FirstBlockCacheConfig())
        try:
            with pytest.raises(UserError, match="FirstBlockCacheConfig is on"):
                latents_of(pipeline, "wan", noise)
        finally:
            pipeline.transformer.disable_cache()


def test_what_else_is_refused(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("sd3")
    noise = start(BUILD["sd3"][1](pipeline), 1)
    with PipelineDoor(pipeline, WHOLE), pytest.raises(UserError, match="already guided"), PipelineDoor(pipeline, WHOLE):
        pass
    wan = pipelines("wan")
    with PipelineDoor(wan, CFGPP(5.0)), pytest.raises(UserError, match="CFGPP needs Euler-like steps, and UniPCMultistep"):
        latents_of(wan, "wan", start(BUILD["wan"][1](wan), 1))
    with (
        PipelineDoor(pipeline, SLG(layers=(40,), window=ALWAYS)),
        pytest.raises(UserError, match="6 blocks, and none is 40"),
    ):
        latents_of(pipeline, "sd3", noise)


def test_a_subclass_that_keeps_the_loop_is_its_pipeline_and_another_can_be_registered(
    pipelines: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Kept(type(pipelines("sd3"))):
        pass

    class Changed(type(pipelines("sd3"))):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return super().__call__(*args, **kwargs)

    PipelineDoor(Kept(**pipelines("sd3").components), WHOLE)
    with pytest.raises(UserError, match=r"Changed is not known(.|\n)*do: register_pipeline\(Pipeline, Layout\("):
        PipelineDoor(Changed(**pipelines("sd3").components), WHOLE)
    monkeypatch.setattr(layouts, "LAYOUTS", dict(layouts.LAYOUTS))
    layouts.register_pipeline(Changed, layouts.Layout("batched", ("uncond", "cond")))
    PipelineDoor(Changed(**pipelines("sd3").components), WHOLE)


def test_a_pipeline_that_drops_the_guided_prediction_is_found(pipelines: Callable[[str], Any]) -> None:
    """A loop that keeps a copy of its first prediction would mix cond with the guided prediction."""
    pipeline = pipelines("flux")
    noise = start(BUILD["flux"][1](pipeline), 1)
    network = pipeline.transformer
    with PipelineDoor(pipeline, WHOLE):
        answered = getattr(network, SLOT)

        def copied(*args: Any, **kwargs: Any) -> Any:
            return (answered(*args, **kwargs)[0].clone(),)

        setattr(network, SLOT, copied)
        with pytest.raises(UserError, match="did not take the guided prediction"):
            latents_of(pipeline, "flux", noise)
        setattr(network, SLOT, answered)


def test_schedulers_that_draw_noise_or_evaluate_twice(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("sd3")
    noise = start(BUILD["sd3"][1](pipeline), 1)
    before = pipeline.scheduler
    try:
        pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, stochastic_sampling=True)
        with PipelineDoor(pipeline, CFGZero(SCALE)), pytest.raises(UserError, match="needs deterministic steps"):
            latents_of(pipeline, "sd3", noise)
    finally:
        pipeline.scheduler = before


class Waits(TorchFunctionMode):
    """Counts what would make the host wait for a device: values and comparisons that are read."""

    READS = frozenset({"item", "tolist", "numpy", "cpu", "equal", "allclose", "is_nonzero", "nonzero"})

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        self.count += name in self.READS or name in ("__bool__", "__float__", "__int__", "__index__", "__contains__")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", BUILD)
def test_nothing_waits_for_the_device_in_a_step(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)

    def waits(steps: int) -> int:
        with Waits() as waits:
            latents_of(pipeline, name, noise, num_inference_steps=steps)
        return waits.count

    bare = [waits(steps) for steps in (3, 6)]
    with PipelineDoor(pipeline, WHOLE):
        waits(3)  # whether reuse holds is seen once
        guided = [waits(steps) for steps in (3, 6)]
    # The pipeline's own reads grow with the steps as before; ours are a handful at the start of a run.
    assert guided[1] - guided[0] == bare[1] - bare[0]
    assert 0 < guided[0] - bare[0] <= 8

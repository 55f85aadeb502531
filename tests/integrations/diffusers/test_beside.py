"""What people load beside guidance: LoRA, ControlNet, offload, compiled, quantised and half-precision networks, inpainting.

With omega 0 each is its bare pipeline; a resumed sub pass is the whole one; and S2 makes something else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from diffusers import (
    SD3ControlNetModel,
    StableDiffusion3ControlNetPipeline,
    StableDiffusion3InpaintPipeline,
)
from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
from diffusers.models.embeddings import IPAdapterTimeImageProjection
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.pag import PAG
from s2g.integrations.diffusers.door import PipelineDoor
from tests.integrations.diffusers.test_pipelines import METHOD, oracle
from tests.offline_pipelines import drawn, sd3_pipeline, start
from tests.small_pipelines import BUILD, PROMPT, SCALE, WHOLE, latents_of

OWN_SCALE = {"flux": "true_cfg_scale"}
STREAMS = ("sd3", "flux", "wan")


def check(make: Callable[..., Tensor], pipeline: Any, scale: str = "guidance_scale", rounding: float = 0.0) -> None:
    """Hold a pipeline against itself: bare and with omega 0, with and without reuse, with S2 and without.

    rounding: what a resumed pass may differ by, of the largest value; the batch of both conditions is larger than its own.
    """
    bare = make(**{scale: SCALE})
    with PipelineDoor(pipeline, replace(WHOLE, omega=0.0)):
        assert torch.equal(make(), bare)
    with PipelineDoor(pipeline, WHOLE, reuse=False) as whole:
        unforked = make()
    with PipelineDoor(pipeline, WHOLE) as resumed:
        forked = make()
    assert resumed.masks == whole.masks and all(step[0] for step in resumed.masks)
    assert (forked - unforked).abs().max() <= rounding * unforked.abs().max()
    assert (forked - bare).abs().max() > 1e-3 * bare.abs().max()  # ten roundings, or more


def rounding_of(name: str) -> float:
    return 1e-4 if name == "sd3" else 0.0  # SD3's conditions are one batch


@contextmanager
def changed(pipeline: Any) -> Iterator[Any]:
    """Give the pipeline a transformer to be changed, and its own back."""
    before = pipeline.transformer
    pipeline.transformer = copy.deepcopy(before)
    try:
        yield pipeline.transformer
    finally:
        pipeline.transformer = before


@pytest.mark.slow("LoRA in three families")
@pytest.mark.parametrize("name", STREAMS)
def test_a_lora_is_part_of_every_pass(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    scale = OWN_SCALE.get(name, "guidance_scale")
    plain = latents_of(pipeline, name, noise, **{scale: SCALE})
    with changed(pipeline) as network:
        network.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
        assert (latents_of(pipeline, name, noise, **{scale: SCALE}) - plain).abs().max() > 0.01  # the adapter does something
        check(lambda **more: latents_of(pipeline, name, noise, **more), pipeline, scale, rounding_of(name))


@pytest.mark.slow("offload in three families")
@pytest.mark.parametrize("kind", ["block_level", "leaf_level"])
@pytest.mark.parametrize("name", STREAMS)
def test_group_offload_moves_blocks_as_before(name: str, kind: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    scale = OWN_SCALE.get(name, "guidance_scale")
    plain = latents_of(pipeline, name, noise, **{scale: SCALE})
    with changed(pipeline) as network:
        groups = {"num_blocks_per_group": 2} if kind == "block_level" else {}
        cpu = torch.device("cpu")
        network.enable_group_offload(onload_device=cpu, offload_device=cpu, offload_type=kind, **groups)
        assert torch.equal(latents_of(pipeline, name, noise, **{scale: SCALE}), plain)
        check(lambda **more: latents_of(pipeline, name, noise, **more), pipeline, scale, rounding_of(name))


@pytest.mark.slow("compiles")
@pytest.mark.parametrize("name", ["flux", "wan"])  # diffusers does not say which blocks of SD3 repeat
def test_compiled_blocks_stay_compiled(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    graphs: list[Any] = []

    def counting(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    with changed(pipeline) as network:
        network.compile_repeated_blocks(backend=counting, fullgraph=True)
        scale = OWN_SCALE.get(name, "guidance_scale")
        check(lambda **more: latents_of(pipeline, name, noise, **more), pipeline, scale, rounding_of(name))
    assert graphs
    torch.compiler.reset()


@pytest.mark.slow("quantises three families")
@pytest.mark.parametrize("name", STREAMS)
def test_quantised_blocks_are_dropped_and_resumed_like_others(name: str, pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines(name)
    noise = start(BUILD[name][1](pipeline), 1)
    with changed(pipeline) as network:
        for block in [module for module in network.modules() if type(module).__name__.endswith("TransformerBlock")]:
            for part in block.modules():
                for key, layer in list(part.named_children()):
                    if isinstance(layer, nn.Linear):
                        setattr(part, key, EightBits(layer))
        scale = OWN_SCALE.get(name, "guidance_scale")
        # Rows are scaled by their own largest value, so that a row does not depend on its batch.
        check(lambda **more: latents_of(pipeline, name, noise, **more), pipeline, scale, rounding_of(name))


class EightBits(nn.Module):
    """A linear layer whose weights are int8, a scale for each row, as bitsandbytes and torchao keep them."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.scale = layer.weight.detach().abs().amax(1, keepdim=True) / 127
        self.codes = (layer.weight.detach() / self.scale).round().to(torch.int8)
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.codes.to(x.dtype) * self.scale.to(x.dtype), self.bias)


def test_a_controlnet_adds_to_every_block_that_runs(pipelines: Callable[[str], Any]) -> None:
    parts = dict(pipelines("sd3").components)
    network = parts["transformer"]
    config = {key: network.config[key] for key in ("sample_size", "patch_size", "in_channels", "attention_head_dim")}
    config |= {key: network.config[key] for key in ("num_attention_heads", "joint_attention_dim", "caption_projection_dim")}
    config |= {key: network.config[key] for key in ("pooled_projection_dim", "pos_embed_max_size")}
    torch.manual_seed(0)
    controlnet = drawn(SD3ControlNetModel(num_layers=2, out_channels=network.config["out_channels"], **config)).eval()
    pipeline = StableDiffusion3ControlNetPipeline(**parts, controlnet=controlnet)
    pipeline.set_progress_bar_config(disable=True)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    noise = start(BUILD["sd3"][1](pipelines("sd3")), 1)

    def make(strength: float = 1.0, **more: Any) -> Tensor:
        torch.manual_seed(2)  # the pipeline samples the control image's latents, from the global generator
        given = {"guidance_scale": 2.0, **more}
        return pipeline(
            PROMPT, control_image=image, controlnet_conditioning_scale=strength, latents=noise.clone(), height=64, width=64,
            num_inference_steps=4, output_type="latent", **given,
        ).images  # fmt: skip

    assert (make(guidance_scale=SCALE) - make(0.0, guidance_scale=SCALE)).abs().max() > 0.01
    check(make, pipeline, rounding=1e-4)


def test_inpainting_keeps_what_is_not_masked(pipelines: Callable[[str], Any]) -> None:
    pipeline = StableDiffusion3InpaintPipeline(**pipelines("sd3").components)
    pipeline.set_progress_bar_config(disable=True)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1

    def make(**more: Any) -> Tensor:
        given = {"guidance_scale": 2.0, **more}
        return pipeline(
            PROMPT, image=image, mask_image=mask, height=64, width=64, strength=1.0, num_inference_steps=4,
            generator=torch.Generator().manual_seed(1), output_type="latent", **given,
        ).images  # fmt: skip

    check(make, pipeline, rounding=1e-4)


def test_half_precision_is_within_the_pipelines_own_rounding(pipelines: Callable[[str], Any]) -> None:
    pipeline = pipelines("wan")
    noise = start(BUILD["wan"][1](pipeline), 1)
    whole = latents_of(pipeline, "wan", noise, guidance_scale=SCALE)
    encoder = pipeline.text_encoder
    with changed(pipeline) as network:
        network.half()
        pipeline.text_encoder = copy.deepcopy(encoder).half()
        try:
            bare = latents_of(pipeline, "wan", noise, guidance_scale=SCALE)
            with PipelineDoor(pipeline, replace(WHOLE, omega=0.0)):
                guided = latents_of(pipeline, "wan", noise)
        finally:
            pipeline.text_encoder = encoder
    rounding = (bare - whole).square().mean().sqrt()
    assert rounding > 0 and (guided - bare).square().mean().sqrt() < rounding


def test_an_ip_adapters_image_is_seen_by_every_pass(tmp_path: Path) -> None:
    pipeline = sd3_pipeline(tmp_path, second=False)
    network = pipeline.transformer
    torch.manual_seed(0)
    width = {"hidden_size": 32, "ip_hidden_states_dim": 32, "head_dim": 8, "timesteps_emb_dim": 64}
    network.set_attn_processor({name: SD3IPAdapterJointAttnProcessor2_0(**width) for name in network.attn_processors})
    sizes = {
        "embed_dim": 12,
        "output_dim": 32,
        "hidden_dim": 64,
        "depth": 1,
        "heads": 1,
        "num_queries": 4,
        "timestep_in_dim": 16,
    }
    network.image_proj = IPAdapterTimeImageProjection(**sizes)
    drawn(network)
    noise = start(BUILD["sd3"][1](pipeline), 1)
    seen = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(2))  # of uncond and cond, three tokens each

    def make(embeds: Tensor = seen, **more: Any) -> Tensor:
        return latents_of(pipeline, "sd3", noise, ip_adapter_image_embeds=embeds, **more)

    bare = make(guidance_scale=SCALE)
    assert (make(-seen, guidance_scale=SCALE) - bare).abs().max() > 0.01  # the adapter does something
    check(make, pipeline, rounding=1e-4)
    with PipelineDoor(pipeline, METHOD, reuse=False) as door:
        guided = make()
    with oracle(pipeline, batched=True, norm=False, masks=door.masks):
        assert torch.equal(guided, make())  # cond's image, also with blocks that do nothing
    # Its processor attends twice, so that an edit of attention would also reach the adapter's.
    with PipelineDoor(pipeline, PAG(CFG(SCALE), layers=(1,))), pytest.raises(UserError, match="cannot be edited"):
        make()

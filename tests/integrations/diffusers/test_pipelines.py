"""Classic pipelines of every registered kind against an oracle that is written otherwise, and against themselves.

The oracle replaces the network's forward and that of single blocks, and writes Eq. 4 out by hand; it knows nothing of block
control, of the evaluator or of the door. Text encoders are left out: prompts are given as embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import diffusers
import pytest
import torch
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor

from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.window import ALWAYS
from s2g.integrations.diffusers.door import PipelineDoor
from s2g.integrations.diffusers.layouts import LAYOUTS
from s2g.network.architectures import blocks_of
from tests.diffusers_networks import NETWORKS, TEXT, noise
from tests.network.test_families import alone
from tests.small_networks import randomise

STEPS, SCALE, OMEGA = 4, 3.0, 0.5
METHOD = S2(CFG(SCALE), omega=OMEGA, drop=2, window=ALWAYS)
FLOW, DDIM = diffusers.FlowMatchEulerDiscreteScheduler, diffusers.DDIMScheduler


@dataclass(frozen=True)
class Case:
    """How a small pipeline is built and called; switch: what turns its CFG on, with which scale as a keyword."""

    network: str
    call: dict[str, Any]
    scheduler: Callable[[], Any] = FLOW
    scale: str = "guidance_scale"
    batched: bool = True
    masks: bool = True  # whether it takes attention masks of the text
    pooled: bool = False
    norm: bool = False
    more: tuple[str, ...] = ()  # components that it has beside the usual ones


OTHERS, SECOND = ("vae", "text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2")
IMAGE = {"height": 64, "width": 64}
UNBINNED, VIDEO = IMAGE | {"use_resolution_binning": False}, IMAGE | {"num_frames": 9}
SHORT = {"height": 32, "width": 32, "num_frames": 5}
# Pipelines whose default is an empty negative text, which they will not have beside embeddings.
NO_TEXT = ("PixArt", "Sana", "Latte", "Allegro")
PAIR: dict[str, Any] = {"scale": "true_cfg_scale", "batched": False}
CASES = {
    "PixArtAlphaPipeline": Case("PixArtTransformer2DModel", UNBINNED, diffusers.DPMSolverMultistepScheduler),
    "CogVideoXPipeline": Case("CogVideoXTransformer3DModel", VIDEO, diffusers.CogVideoXDDIMScheduler, masks=False),
    "LTXPipeline": Case("LTXVideoTransformer3DModel", VIDEO),
    "HunyuanVideoPipeline": Case("HunyuanVideoTransformer3DModel", SHORT, **PAIR, pooled=True, more=SECOND),
    "QwenImagePipeline": Case("QwenImageTransformer2DModel", IMAGE, **PAIR, norm=True),
    "Lumina2Pipeline": Case("Lumina2Transformer2DModel", IMAGE, batched=False, norm=True),
    "ChromaPipeline": Case("ChromaTransformer2DModel", IMAGE, batched=False, more=("image_encoder", "feature_extractor")),
    "SanaPipeline": Case("SanaTransformer2DModel", {"height": 256, "width": 256, "use_resolution_binning": False}),
    "AuraFlowPipeline": Case("AuraFlowTransformer2DModel", IMAGE),
    "MochiPipeline": Case("MochiTransformer3DModel", IMAGE | {"num_frames": 7}),
    "CogView4Pipeline": Case("CogView4Transformer2DModel", IMAGE, batched=False, masks=False),
    "LattePipeline": Case("LatteTransformer3DModel", IMAGE | {"video_length": 3, "mask_feature": False}, DDIM, masks=False),
    "AllegroPipeline": Case("AllegroTransformer3DModel", IMAGE | {"num_frames": 8}, DDIM),
}


def pipeline_of(name: str) -> Any:
    case = CASES[name]
    pipeline = getattr(diffusers, name)(
        transformer=NETWORKS[case.network]()[0], scheduler=case.scheduler(), **dict.fromkeys((*OTHERS, *case.more))
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def latents_of(name: str, pipeline: Any, scale: float) -> Tensor:
    """What the pipeline makes of embeddings, from the noise of seed 0."""
    case = CASES[name]
    given: dict[str, Any] = dict(case.call)
    for prefix, seed in (("", 1), ("negative_", 2)):
        given[f"{prefix}prompt_embeds"] = noise(1, TEXT, 24, seed=seed)
        if case.pooled:
            given[f"{prefix}pooled_prompt_embeds"] = noise(1, 8, seed=seed)
        if case.masks:
            mask = "embeds_mask" if name.startswith("Qwen") else "attention_mask"
            given[f"{prefix}prompt_{mask}"] = torch.ones(
                1, TEXT, dtype=torch.bool if name.startswith(("Mochi", "Chroma")) else torch.long
            )
    given |= {case.scale: scale} | ({"negative_prompt": None} if name.startswith(NO_TEXT) else {})
    generator = torch.Generator().manual_seed(0)
    return pipeline(num_inference_steps=STEPS, output_type="latent", generator=generator, return_dict=False, **given)[0]


@contextmanager
def oracle(pipeline: Any, batched: bool, norm: bool, masks: list[dict[int, tuple[int, ...]]]) -> Iterator[None]:
    """The pipeline with S2 written out: cond, uncond, and cond with blocks that do nothing."""
    network, steps = pipeline.transformer, iter(masks)
    plain, first = network.forward, []

    def without(mask: tuple[int, ...], *args: Any, **kwargs: Any) -> Tensor:
        chosen = [blocks_of(network)[index] for index in mask]
        for block in chosen:
            block.forward = alone(block)
        try:
            return plain(*args, **kwargs)[0]
        finally:
            for block in chosen:
                del block.forward

    def combined(cond: Tensor, uncond: Tensor, sub: Tensor) -> Tensor:
        guided = uncond + SCALE * (cond - uncond)
        if norm:
            guided = guided * (torch.norm(cond, dim=-1, keepdim=True) / torch.norm(guided, dim=-1, keepdim=True))
        return guided - OMEGA * (sub - cond)

    def latter(value: Any, rows: int) -> Any:
        if isinstance(value, dict):
            return {key: latter(inner, rows) for key, inner in value.items()}
        return value[rows // 2 :] if isinstance(value, Tensor) and value.ndim and len(value) == rows else value

    def forward(*args: Any, **kwargs: Any) -> Any:
        shared = {key: value for key, value in kwargs.items() if key == "image_rotary_emb"}
        if batched:
            rows = len(args[0] if args else kwargs["hidden_states"])
            uncond, cond = plain(*args, **kwargs)[0].chunk(2)
            half = {key: latter(value, rows) for key, value in kwargs.items()} | shared
            guided = combined(cond, uncond, without(next(steps)[0], *(latter(value, rows) for value in args), **half))
            return (torch.cat([guided, guided]),)
        if not first:
            first.append((plain(*args, **kwargs)[0], args, kwargs))
            return (first[0][0],)
        cond, args_of_cond, kwargs_of_cond = first.pop()
        guided = combined(cond, plain(*args, **kwargs)[0], without(next(steps)[0], *args_of_cond, **kwargs_of_cond))
        cond.copy_(guided)
        return (guided,)

    network.forward = forward
    try:
        yield
    finally:
        del network.forward


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_oracle_and_with_omega_zero_the_bare_pipeline(name: str) -> None:
    pipeline, case = pipeline_of(name), CASES[name]
    bare = latents_of(name, pipeline, SCALE)
    assert bare.isfinite().all()
    with PipelineDoor(pipeline, S2(omega=0.0, window=ALWAYS), scale=SCALE):
        assert torch.equal(latents_of(name, pipeline, 1.5), bare)
    with PipelineDoor(pipeline, METHOD, seed=5, reuse=False) as door:
        whole = latents_of(name, pipeline, 1.5)
    assert len(door.masks) == STEPS and all(len(masks[0]) == 2 for masks in door.masks)
    with oracle(pipeline, case.batched, case.norm, door.masks):
        expected = latents_of(name, pipeline, 1.5)
    assert torch.equal(whole, expected)
    assert (whole - bare).abs().max() > 1e-3
    with PipelineDoor(pipeline, METHOD, seed=5):
        resumed = latents_of(name, pipeline, 1.5)
    # From half of a batch of two, a resumed pass rounds otherwise than one of its own.
    assert torch.equal(resumed, expected) if not case.batched else torch.allclose(resumed, expected, rtol=1e-4, atol=1e-4)


def test_dit_is_the_bare_pipeline_and_guides_no_variance() -> None:
    settings = {"sample_size": 8, "num_layers": 6, "num_attention_heads": 2, "attention_head_dim": 8, "out_channels": 8}
    pipeline = diffusers.DiTPipeline(
        randomise(diffusers.DiTTransformer2DModel(**settings, num_embeds_ada_norm=1000)),
        diffusers.AutoencoderKL(
            latent_channels=4, block_out_channels=(8,), norm_num_groups=4, layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
        ),
        DDIM(),
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)

    def images(scale: float, labels: tuple[int, ...] = (3, 7)) -> Any:
        generator = torch.Generator().manual_seed(0)
        return torch.from_numpy(pipeline(list(labels), scale, generator, num_inference_steps=STEPS, output_type="np").images)

    bare = images(SCALE)
    with PipelineDoor(pipeline, S2(omega=0.0, window=ALWAYS), scale=SCALE):
        assert torch.equal(images(1.5), bare)
        with pytest.raises(Exception, match="makes no unconditional prediction"):
            images(1.0)  # two labels, and no uncond: two rows, as with one label and its uncond
    with PipelineDoor(pipeline, METHOD, seed=5, reuse=False) as door:
        whole = images(1.5)
    assert len(door.masks) == STEPS and all(len(masks[0]) == 2 for masks in door.masks)
    with oracle_of_dit(pipeline, door.masks):
        assert torch.equal(whole, images(1.5))
    assert (whole - bare).abs().max() > 1e-3
    with PipelineDoor(pipeline, METHOD, seed=5):
        torch.testing.assert_close(images(1.5), whole, rtol=0, atol=1e-5)  # from half of a batch, which rounds otherwise


@contextmanager
def oracle_of_dit(pipeline: Any, masks: list[dict[int, tuple[int, ...]]]) -> Iterator[None]:
    """DiT with S2 written out: cond first, and of twice the channels the second half is cond's variance, unguided."""
    network, steps = pipeline.transformer, iter(masks)
    plain = network.forward

    def forward(x: Tensor, timestep: Tensor, class_labels: Tensor) -> Any:
        cond, uncond = plain(x, timestep=timestep, class_labels=class_labels).sample.chunk(2)
        chosen = [network.transformer_blocks[index] for index in next(steps)[0]]
        for block in chosen:
            block.forward = alone(block)
        try:
            given = {"timestep": timestep.chunk(2)[0], "class_labels": class_labels.chunk(2)[0]}
            sub = plain(x.chunk(2)[0], **given).sample
        finally:
            for block in chosen:
                del block.forward
        c, u, s = (part[:, :4] for part in (cond, uncond, sub))
        guided = torch.cat([u + SCALE * (c - u) - OMEGA * (s - c), cond[:, 4:]], dim=1)
        return Transformer2DModelOutput(sample=torch.cat([guided, guided]))

    network.forward = forward
    try:
        yield
    finally:
        del network.forward


def test_every_pipeline_that_is_known_exists_and_these_tests_know_which_are_tried() -> None:
    assert all(hasattr(diffusers, name) for name in LAYOUTS)
    tried = {*CASES, "DiTPipeline", "StableDiffusion3Pipeline", "FluxPipeline", "WanPipeline"}
    variants = {name for name in LAYOUTS if name not in tried}
    # Variants share the loop of a pipeline that is tried; some of them are run in test_variants.py and test_beside.py.
    kinds = {name.removesuffix("Pipeline").removesuffix("Alpha") for name in tried}
    assert all(name.startswith(tuple(kinds)) for name in variants)

"""Flux: our loop is the stock pipeline with true CFG to the bit; reuse is exact; folders with and without a base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from s2g.config.schema import ModelConfig
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.models.flux import DISTILLED, FluxDenoiser, token_positions, unpacked
from s2g.models.meta_models import meta_model
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.sampling.levels import shift_of_tokens
from s2g.sampling.schedulers import FluxEuler
from tests.offline_pipelines import SIDE, flux_denoiser, flux_network, flux_pipeline, made, pixels, start

CPU = torch.device("cpu")
STEPS = 5
SAMPLER = FluxEuler(steps=STEPS, shift=shift_of_tokens((SIDE // 16) ** 2))
ALWAYS = S2(CFG(3.5), omega=0.75, drop=2, window=Window(0.0, 1.0))
PROMPT = "a red book and an ivory sheep ☃ 猫"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return flux_pipeline(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture
def folder(pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    pipeline.save_pretrained(tmp_path / "flux")
    return tmp_path / "flux"


@pytest.fixture
def model(composed: Callable[..., dict]) -> Callable[..., ModelConfig]:
    def make(*typed: str) -> ModelConfig:
        small = (
            "model=flux",
            "model.blocks=8",
            f"model.resolution={SIDE}",
            "model.dtype=fp32",
            "bench=prompts",
            "guidance=none",
        )
        return outline(composed(*small, *typed)).model

    return make


def stock(pipeline: Any, denoiser: FluxDenoiser, copies: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and images of the pipeline's own __call__ with true CFG, from the noise that our loop begins from."""
    common = {"height": SIDE, "width": SIDE, "num_inference_steps": STEPS, "negative_prompt": "", "true_cfg_scale": 3.5}
    noise = start(denoiser, copies)
    found = [
        pipeline(PROMPT, latents=noise, output_type=kind, num_images_per_prompt=copies, **common).images
        for kind in ("latent", "pil")
    ]
    return found[0], pixels(found[1])


@pytest.mark.parametrize("copies", [1, 2])
def test_cfg_is_the_stock_pipeline_to_the_bit(pipeline: Any, copies: int) -> None:
    denoiser = flux_denoiser(pipeline)
    latents, images = stock(pipeline, denoiser, copies)
    sampled, ours = made(denoiser, CFG(3.5), SAMPLER, [PROMPT] * copies)
    assert torch.equal(sampled.latents, latents)
    # Images are decoded one at a time here, whatever their number: in a batch of two some values are rounded the other way.
    assert torch.equal(ours, images) if copies == 1 else (ours.int() - images.int()).abs().max() <= 1
    assert ours.shape == (copies, 3, SIDE, SIDE) and ours.float().std() > 20


def test_s2_with_reuse_is_s2_without_to_the_bit(pipeline: Any) -> None:
    """cond has a call of its own, so that nothing is rounded differently; masks lie in both lists of blocks."""
    denoiser = flux_denoiser(pipeline)
    plain, images = made(denoiser, ALWAYS, SAMPLER, [PROMPT], reuse=False)
    reused, same = made(denoiser, ALWAYS, SAMPLER, [PROMPT], reuse=True)
    assert torch.equal(plain.latents, reused.latents) and torch.equal(images, same)
    dropped = {block for drawn in plain.masks for block in drawn[0]}
    assert min(dropped) < 3 <= max(dropped)
    assert (made(denoiser, CFG(3.5), SAMPLER, [PROMPT])[0].latents - plain.latents).abs().max() > 0.05


def test_every_block_shows_in_what_is_predicted(pipeline: Any) -> None:
    denoiser = flux_denoiser(pipeline)
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(8))]
    with torch.inference_mode(), Evaluator(denoiser) as evaluator:
        found = evaluator(branches, start(denoiser, 2), 0.5, evaluator.encode([PROMPT, "a dog"])).raw
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-3


def test_packing_and_token_positions_are_those_of_the_pipeline(pipeline: Any) -> None:
    latents = torch.randn(2, 16, 8, 12, generator=torch.Generator().manual_seed(0))
    packed = pipeline._pack_latents(latents, 2, 16, 8, 12)
    assert torch.equal(unpacked(packed, 4, 6), latents)
    assert torch.equal(
        token_positions(4, 6, torch.device("cpu"), torch.float32),
        pipeline._prepare_latent_image_ids(1, 4, 6, "cpu", torch.float32),
    )


def test_time_is_rounded_as_in_the_pipeline() -> None:
    """timestep / 1000 in the latents' dtype: in bf16 0.9932 becomes 0.992."""
    told: list[torch.Tensor] = []
    network = flux_network().to(torch.bfloat16)  # type: ignore[call-overload]
    network.register_forward_pre_hook(lambda _, args, kwargs: told.append(kwargs["timestep"]), with_kwargs=True)
    denoiser = FluxDenoiser(network, None, lambda latents: latents, 4)  # type: ignore[arg-type]
    from s2g.models.base import Conditioning

    texts = Conditioning({"tokens": torch.zeros(1, 5, 32).bfloat16(), "pooled": torch.zeros(1, 32).bfloat16()})
    for level, timestep in ((0.9932, None), (0.5, torch.tensor(993.2))):
        denoiser.forward(start(denoiser, 1), level, texts, timestep)
    want = torch.tensor([993.2]).bfloat16() / 1000
    assert all(torch.equal(t, want) and t.dtype == torch.bfloat16 for t in told) and len(told) == 2


def test_a_distilled_network_is_told_the_stock_guidance() -> None:
    from diffusers import FluxTransformer2DModel

    told: list[Any] = []
    network = FluxTransformer2DModel(**{**flux_network().config, "guidance_embeds": True}).eval()
    network.register_forward_pre_hook(lambda _, args, kwargs: told.append(kwargs["guidance"]), with_kwargs=True)
    denoiser = FluxDenoiser(network, None, lambda latents: latents, 4)  # type: ignore[arg-type]
    from s2g.models.base import Conditioning

    denoiser.forward(start(denoiser, 2), 0.5, Conditioning({"tokens": torch.zeros(2, 5, 32), "pooled": torch.zeros(2, 32)}))
    assert told[0].tolist() == [DISTILLED] * 2


def test_a_saved_folder_is_the_pipeline_in_memory(pipeline: Any, folder: Path, model: Any) -> None:
    latents, images = stock(pipeline, flux_denoiser(pipeline))
    loaded = FluxDenoiser.load(model(f"model.weights={folder}"), CPU, torch.float32)
    sampled, ours = made(loaded, CFG(3.5), SAMPLER, [PROMPT])
    torch.testing.assert_close(sampled.latents, latents, rtol=0, atol=1e-5)
    assert (ours.int() - images.int()).abs().max() <= 1


def test_a_transformer_alone_takes_the_rest_from_its_base(folder: Path, model: Any, tmp_path: Path) -> None:
    alone = Path(shutil.move(folder / "transformer", tmp_path / "alone"))
    config = model(f"model.weights={alone}", f"model.base={folder}")
    loaded = FluxDenoiser.load(config, CPU, torch.float32)
    _, images = made(loaded, CFG(3.5), SAMPLER, [PROMPT])
    assert images.float().std() > 20
    parts = config.pipeline().revisions()
    assert parts.keys() == {"transformer", "vae", "tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2"}
    first = config.weights_sha256()
    path = folder / "text_encoder_2" / "config.json"
    path.write_text(path.read_text() + "\n")
    assert config.weights_sha256() != first
    with pytest.raises(UserError, match=r"a network alone(.|\n)*model.base=FOLDER"):
        model(f"model.weights={alone}", "model.base=''").pipeline()
    shutil.rmtree(folder / "vae")
    with pytest.raises(UserError, match=rf"model.base = {folder}: no file vae/config.json"):
        config.pipeline()
    about = json.loads((alone / "config.json").read_text())
    (alone / "config.json").write_text(json.dumps({**about, "_class_name": "SD3Transformer2DModel"}))
    with pytest.raises(UserError, match="holds a SD3Transformer2DModel, and flux needs a FluxTransformer2DModel"):
        config.pipeline()


def test_the_shift_follows_the_image(composed: Callable[..., dict]) -> None:
    shift = {
        size: outline(composed("model=flux", "bench=prompts", "guidance=none", f"model.resolution={size}")).sampler.shift  # type: ignore[attr-defined]
        for size in (256, 512, 1024)
    }
    assert shift[1024] == pytest.approx(3.1582, abs=1e-4) and shift[256] == pytest.approx(1.6487, abs=1e-4)
    assert 1.6487 < shift[512] < 3.1582
    other = outline(composed("model=flux", "bench=prompts", "guidance=none", "sampler=euler"))
    assert other.sampler.shift == shift[1024]  # type: ignore[attr-defined]


def test_channels_are_no_axis_here(composed: Callable[..., dict]) -> None:
    for typed in (("guidance=cfg", "guidance.channels=3"), ("guidance=s2", "model.channels=3")):
        with pytest.raises(UserError, match=r"guidance.channels = 3: flux's latents are packed"):
            outline(composed("model=flux", "bench=prompts", *typed))


def test_full_size_on_the_meta_device(composed: Callable[..., dict]) -> None:
    config = outline(composed("model=flux", "bench=prompts", "guidance=none", "model.weights=random")).model
    twin = FluxDenoiser.meta_model(config)
    assert len(twin.network.transformer_blocks) == 19 and len(twin.network.single_transformer_blocks) == 38
    assert len(twin.blocks) == config.blocks == 57
    assert twin.latent_shape == (4096, 64) and twin.token_grid == (64, 64)
    count = sum(parameter.numel() for parameter in twin.network.parameters())
    assert count == pytest.approx(11_891.2e6, rel=1e-5) and meta_model(config).parameters() == count

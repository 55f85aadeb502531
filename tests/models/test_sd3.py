"""SD3: our loop is the stock pipeline to the bit, S² its skip-layer path; folders, wrong ones, and the full size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from s2g.config.schema import ModelConfig
from s2g.engine.resolve import outline, resolve
from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.models.meta_models import meta_model
from s2g.models.sd3 import SD3Denoiser
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.sampling.schedulers import FlowMatchEuler
from tests.offline_pipelines import SIDE, flux_pipeline, made, pixels, sd3_denoiser, sd3_pipeline, start

CPU = torch.device("cpu")
STEPS = 5
SAMPLER = FlowMatchEuler(steps=STEPS, shift=3.0)
ALWAYS = S2(CFG(4.5), omega=0.75, drop=2, window=Window(0.0, 1.0))
PROMPT = "a red book and an ivory sheep ☃ 猫"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return sd3_pipeline(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture(scope="module")
def saved(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd35")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to be damaged, and a cache of its own."""
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(saved, tmp_path / "sd35"))


@pytest.fixture
def model(composed: Callable[..., dict]) -> Callable[..., ModelConfig]:
    def make(*typed: str) -> ModelConfig:
        small = (
            "model=sd35",
            "model.blocks=6",
            f"model.resolution={SIDE}",
            "model.dtype=fp32",
            "bench=prompts",
            "guidance=none",
        )
        return outline(composed(*small, *typed)).model

    return make


def stock(pipeline: Any, denoiser: Any, copies: int = 1, **more: Any) -> Any:
    """Latents and images of the pipeline's own __call__, from the noise that our loop begins from."""
    common = {"height": SIDE, "width": SIDE, "num_inference_steps": STEPS, "guidance_scale": 4.5, **more}
    noise = start(denoiser, copies)
    found = [
        pipeline(PROMPT, latents=noise, output_type=kind, num_images_per_prompt=copies, **common).images
        for kind in ("latent", "pil")
    ]
    return found[0], pixels(found[1])


@pytest.mark.parametrize("copies", [1, 2])
def test_cfg_is_the_stock_pipeline_to_the_bit(pipeline: Any, copies: int) -> None:
    denoiser = sd3_denoiser(pipeline)
    latents, images = stock(pipeline, denoiser, copies)
    sampled, ours = made(denoiser, CFG(4.5), SAMPLER, [PROMPT] * copies)
    assert torch.equal(sampled.latents, latents)
    # Images are decoded one at a time here, whatever their number: in a batch of two some values are rounded the other way.
    assert torch.equal(ours, images) if copies == 1 else (ours.int() - images.int()).abs().max() <= 1
    assert ours.shape == (copies, 3, SIDE, SIDE) and ours.float().std() > 20


@pytest.mark.parametrize("second", [True, False])
def test_a_negative_prompt_is_the_stock_pipelines_to_the_bit(second: bool, tmp_path: Path) -> None:
    stock_pipeline, words = sd3_pipeline(tmp_path, second=second), "blurry, a green sheep"
    denoiser = sd3_denoiser(stock_pipeline, words)
    latents, images = stock(stock_pipeline, denoiser, negative_prompt=words)
    sampled, ours = made(denoiser, CFG(4.5), SAMPLER, [PROMPT])
    assert torch.equal(sampled.latents, latents) and torch.equal(ours, images)
    empty, _ = made(sd3_denoiser(stock_pipeline), CFG(4.5), SAMPLER, [PROMPT])
    assert (empty.latents - sampled.latents).abs().max() > 0.01


def test_a_negative_prompt_is_in_the_key_and_encoded(folder: Path, model: Any, composed: Callable[..., dict]) -> None:
    def identity(*typed: str) -> dict[str, Any]:
        return resolve(composed("model=sd35", "model.weights=random", "bench=prompts", *typed))[0].identity()["model"]

    assert "negative" not in identity() and identity() == identity("model.negative=''")
    assert identity("model.negative=blurry") == {**identity(), "negative": "blurry"}
    loaded = SD3Denoiser.load(model(f"model.weights={folder}", "model.negative=blurry"), CPU, torch.float32)
    want = loaded.text.encode(["blurry"])[0]
    assert torch.equal(loaded.encode([PROMPT, "a dog"])["uncond"].tensors["tokens"], want.expand(2, -1, -1))
    with pytest.raises(UserError, match=r"model.negative = official: sd35 has no presets(.|\n)*model.negative=''"):
        model("model.negative=official")
    with pytest.raises(UserError, match=r"model.negative = blurry: tiny_sd3 takes no negative prompt"):
        outline(composed("model=tiny_sd3", "bench=shapes_t2i", "+model.negative=blurry"))


def test_s2_is_its_skip_layer_path_to_the_bit_and_with_reuse_within_rounding(pipeline: Any) -> None:
    denoiser = sd3_denoiser(pipeline)
    sampled, ours = made(denoiser, ALWAYS, SAMPLER, [PROMPT], reuse=False)
    masks = [list(drawn[0]) for drawn in sampled.masks]
    assert len({tuple(mask) for mask in masks}) > 1 and all(len(mask) == 2 for mask in masks)
    skipped = list(masks[0])

    def next_mask(_: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        skipped[:] = masks[(index + 1) % STEPS]  # a pipeline that is called twice begins anew
        return tensors

    oracle = {"skip_guidance_layers": skipped, "skip_layer_guidance_scale": 0.75, "skip_layer_guidance_start": -1}
    latents, images = stock(pipeline, denoiser, skip_layer_guidance_stop=2, callback_on_step_end=next_mask, **oracle)
    assert torch.equal(sampled.latents, latents) and torch.equal(ours, images)

    plain, _ = made(denoiser, CFG(4.5), SAMPLER, [PROMPT])
    assert (plain.latents - sampled.latents).abs().max() > 0.05  # the masks are seen
    reused, _ = made(denoiser, ALWAYS, SAMPLER, [PROMPT], reuse=True)
    torch.testing.assert_close(reused.latents, sampled.latents, rtol=0, atol=1e-5)


def test_every_block_shows_in_what_is_predicted(pipeline: Any) -> None:
    denoiser = sd3_denoiser(pipeline)
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(6))]
    with torch.inference_mode(), Evaluator(denoiser) as evaluator:
        found = evaluator(branches, start(denoiser, 2), 0.5, evaluator.encode([PROMPT, "a dog"])).raw
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-3


def test_without_t5_its_part_is_zeros_as_in_the_stock_pipeline(tmp_path: Path) -> None:
    without = sd3_pipeline(tmp_path, t5=False)
    denoiser = sd3_denoiser(without)
    latents, images = stock(without, denoiser)
    sampled, ours = made(denoiser, CFG(4.5), SAMPLER, [PROMPT])
    assert torch.equal(sampled.latents, latents) and torch.equal(ours, images)
    assert not denoiser.encode([PROMPT])["cond"].tensors["tokens"][:, 77:].any()


def test_a_saved_folder_is_the_pipeline_in_memory(pipeline: Any, folder: Path, model: Any) -> None:
    config = model(f"model.weights={folder}")
    loaded = SD3Denoiser.load(config, CPU, torch.float32)
    latents, images = stock(pipeline, sd3_denoiser(pipeline))
    sampled, ours = made(loaded, CFG(4.5), SAMPLER, [PROMPT])
    torch.testing.assert_close(sampled.latents, latents, rtol=0, atol=1e-5)
    assert (ours.int() - images.int()).abs().max() <= 1
    assert len(config.weights_sha256()) == 64


def test_a_folder_without_t5_gives_zeros_and_says_so(folder: Path, model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    for part in ("tokenizer_3", "text_encoder_3"):
        shutil.rmtree(folder / part)
        index[part] = [None, None]
    (folder / "model_index.json").write_text(json.dumps(index))
    loaded = SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.float32)
    (line,) = capsys.readouterr().err.splitlines()
    assert "tokenizer_3 and text_encoder_3 are [null, null] in model_index.json; zeros take the place" in line
    tokens = loaded.encode([PROMPT])["cond"].tensors["tokens"]
    assert tokens.shape == (1, 333, 64) and not tokens[:, 77:].any() and tokens[:, :77].any()


@pytest.mark.slow("half precision on a CPU")
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_is_near_full(folder: Path, model: Any, dtype: str) -> None:
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    found = []
    for kind in (torch.float32, kinds[dtype]):
        loaded = SD3Denoiser.load(model(f"model.weights={folder}"), CPU, kind)
        assert {p.dtype for p in [*loaded.network.parameters(), *loaded.decoder.vae.parameters()]} == {kind}
        assert loaded.encode([PROMPT])["cond"].tensors["tokens"].dtype == kind
        found.append(made(loaded, CFG(2.0), SAMPLER, [PROMPT]))
    assert found[1][0].latents.dtype == torch.float32  # the state and the guidance are
    away = (found[0][0].latents - found[1][0].latents).pow(2).mean().sqrt()
    assert 0 < away < 0.2 * found[0][0].latents.std()


def test_offload_changes_no_sample_and_tiles_change_the_image(folder: Path, model: Any) -> None:
    """The small decoder's tiles are 4 latents wide, so that an image has several."""
    typed = ((), ("model.memory=offload",), ("model.vae_tiling=true",))
    configs = [model(f"model.weights={folder}", *more) for more in typed]
    plain, moved, tiled = (made(SD3Denoiser.load(c, CPU, torch.float32), CFG(2.0), SAMPLER, [PROMPT]) for c in configs)
    for sampled, _ in (moved, tiled):
        assert torch.equal(sampled.latents, plain[0].latents)
    assert torch.equal(moved[1], plain[1])
    assert tiled[1].shape == plain[1].shape and not torch.equal(tiled[1], plain[1])


def test_offload_has_one_part_on_the_device(folder: Path, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2g.models.shared.offload import Offload

    moved: list[tuple[str, str]] = []
    monkeypatch.setattr(Offload, "_move", staticmethod(lambda part, device: moved.append((type(part).__name__, device.type))))
    loaded = SD3Denoiser.load(model(f"model.weights={folder}", "model.memory=offload"), CPU, torch.float32)
    loaded.offload.device = torch.device("meta")  # whatever is moved there would be seen
    assert moved == []
    made(loaded, CFG(2.0), SAMPLER, [PROMPT])
    assert moved == [("SD3Transformer2DModel", "meta"), ("SD3Transformer2DModel", "cpu"), ("AutoencoderKL", "meta")]


def said_of(make: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        make()
    return str(caught.value)


def test_other_blocks_and_other_kinds_are_refused_before_weights_are_read(folder: Path, model: Any) -> None:
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"never read")
    said = said_of(lambda: SD3Denoiser.load(model(f"model.weights={folder}", "model.blocks=24"), CPU, torch.float32))
    assert "its transformer has 6 blocks, and model.blocks = 24" in said and "model.blocks=6" in said
    said = said_of(lambda: SD3Denoiser.load(model("model=sd3", f"model.weights={folder}"), CPU, torch.float32))
    assert "its transformer has qk_norm, and sd3 does not" in said


def test_weights_that_do_not_fit_are_named(folder: Path, model: Any) -> None:
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    first = sorted(state)[0]
    save_file({("wrong." + name if name == first else name): tensor for name, tensor in state.items()}, file)
    said = said_of(lambda: SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.float32))
    assert f"lacks {first}" in said and f"has besides wrong.{first}" in said
    file.write_bytes(b"nothing")
    said = said_of(lambda: SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.float32))
    assert "not a weights file" in said


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("vae", "config.json"),
        ("transformer", "config.json"),
        ("tokenizer_2", "tokenizer_config.json"),
        ("text_encoder", "config.json"),
    ],
)
def test_a_missing_component_is_named(folder: Path, model: Any, part: str, file: str) -> None:
    shutil.rmtree(folder / part)
    said = said_of(model(f"model.weights={folder}").pipeline)
    assert f"no file {part}/{file} in {folder}" in said and "model.weights=FOLDER" in said


def test_a_missing_shard_is_named(folder: Path, model: Any) -> None:
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    names = sorted(state)
    halves = {f"diffusion_pytorch_model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    want = SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.float32).network.state_dict()
    for shard, of in halves.items():
        save_file({name: state[name] for name in of}, file.parent / shard)
    weight_map = {name: shard for shard, of in halves.items() for name in of}
    (file.parent / f"{file.name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    file.unlink()
    got = SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.float32).network.state_dict()
    assert all(torch.equal(got[name], want[name]) for name in want)
    lost = file.parent / sorted(halves)[1]
    lost.unlink()
    assert f"no file transformer/{lost.name}" in said_of(model(f"model.weights={folder}").pipeline)


def test_another_pipeline_is_refused_by_name(tmp_path: Path, model: Any) -> None:
    flux_pipeline(tmp_path / "tokenizers").save_pretrained(tmp_path / "flux")
    said = said_of(model(f"model.weights={tmp_path / 'flux'}").pipeline)
    assert "holds a FluxPipeline, and sd35 needs a StableDiffusion3Pipeline; it is of model.family = flux" in said
    (tmp_path / "empty").mkdir()
    assert "no file model_index.json" in said_of(model(f"model.weights={tmp_path / 'empty'}").pipeline)
    assert "no file or folder" in said_of(model("model.weights=/no/such/place").pipeline)


def test_the_hash_is_of_every_part_and_not_of_the_place(folder: Path, model: Any, tmp_path: Path) -> None:
    first = model(f"model.weights={folder}").weights_sha256()
    other = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert model(f"model.weights={other}").weights_sha256() == first
    seen = {first}
    for part, file in (("text_encoder", "config.json"), ("vae", "config.json"), ("tokenizer_3", "tokenizer.json")):
        path = other / part / file
        path.write_text(path.read_text() + "\n")
        seen.add(model(f"model.weights={other}").weights_sha256())
    assert len(seen) == 4


def test_random_weights_show_every_block(composed: Callable[..., dict]) -> None:
    raw = composed("model=sd35", "model.weights=random:3", f"model.resolution={SIDE}", "bench=prompts", "guidance=none")
    sizes = {"sample_size": 8, "num_layers": 6, "attention_head_dim": 8, "num_attention_heads": 4, "joint_attention_dim": 64}
    sizes |= {
        "caption_projection_dim": 32,
        "pooled_projection_dim": 64,
        "pos_embed_max_size": 16,
        "dual_attention_layers": [0, 1],
    }
    raw["model"] |= {"blocks": 6, "network": {**raw["model"]["network"], **sizes}}
    loaded = SD3Denoiser.load(outline(raw).model, CPU, torch.float32)
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(6))]
    with torch.inference_mode(), Evaluator(loaded) as evaluator:
        found = evaluator(branches, start(loaded, 2), 0.5, evaluator.encode(["a", "b"])).raw
    assert 0.1 < found[COND].std() < 10
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-3
    assert loaded.network.pos_embed.pos_embed.abs().max() <= 1 and loaded.network.pos_embed.pos_embed.std() > 0.5
    _, images = made(loaded, CFG(2.0), SAMPLER, ["a"])
    assert images.shape == (1, 3, SIDE, SIDE) and images.float().std() > 1


@pytest.mark.parametrize(("name", "count"), [("sd3", 2_028_328_000), ("sd35", 2_243_171_520)])
def test_full_size_on_the_meta_device(name: str, count: int, composed: Callable[..., dict]) -> None:
    config = outline(composed(f"model={name}", "bench=prompts", "guidance=none", "model.weights=random")).model
    twin = SD3Denoiser.meta_model(config)
    assert len(twin.blocks) == config.blocks == 24
    assert twin.latent_shape == (16, 128, 128) and twin.token_grid == (64, 64)
    assert sum(parameter.numel() for parameter in twin.network.parameters()) == pytest.approx(count, rel=1e-4)
    assert meta_model(config).parameters() == sum(parameter.numel() for parameter in twin.network.parameters())

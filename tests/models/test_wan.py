"""Wan: our loop is the stock pipeline to the bit, reuse is exact; folders and wrong ones, negative prompts, the full size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_reuse import expected_ratios
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanTransformer3DModel

from s2g.config.schema import ModelConfig
from s2g.engine.resolve import outline
from s2g.engine.worker import cost_of
from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.masks import count_from_ratio
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.models.meta_models import meta_model
from s2g.models.shared import pipeline_text
from s2g.models.video import NEGATIVES
from s2g.models.wan import T5_TOKENS, WanDenoiser
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.sampling.schedulers import FlowMatchEuler, UniPC
from tests.offline_pipelines import FRAMES, HEIGHT, WIDTH, flux_pipeline, made, start, wan_denoiser, wan_network, wan_pipeline

CPU = torch.device("cpu")
STEPS = 4
UNIPC = UniPC(steps=STEPS, shift=3.0)
ALWAYS = S2(CFG(5.0), omega=0.75, drop=2, window=Window(0.0, 1.0))
# What the stock pipeline mends and cleans before it reads it; and one that it need not.
PROMPTS = ["a red  book\n&amp;amp; an ivory sheep â€” ☃ 猫 ", "a dog"]
SCHEDULERS = {
    "unipc": (
        UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        UNIPC,
    ),
    "euler": (FlowMatchEulerDiscreteScheduler(shift=3.0), FlowMatchEuler(steps=STEPS, shift=3.0)),
}
NETWORK = "{num_attention_heads: 2, attention_head_dim: 12, text_dim: 32, freq_dim: 16, ffn_dim: 48, num_layers: 6}"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return wan_pipeline(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture(scope="module")
def saved(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wan")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to be damaged, and a cache of its own."""
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(saved, tmp_path / "wan"))


@pytest.fixture
def model(composed: Callable[..., dict]) -> Callable[..., ModelConfig]:
    def make(*typed: str) -> ModelConfig:
        sizes = (f"model.frames={FRAMES}", f"model.height={HEIGHT}", f"model.width={WIDTH}")
        small = ("model=wan_1_3b", "model.blocks=6", *sizes, "model.dtype=fp32", "bench=prompts", "guidance=none")
        return outline(composed(*small, *typed)).model

    return make


def stock(pipeline: Any, noise: torch.Tensor, kind: str, negative: str = "") -> torch.Tensor:
    """Latents, or uint8 videos [B, 3, F, H, W], of the pipeline's own __call__ from the noise that our loop begins from."""
    found = pipeline(
        PROMPTS[: len(noise)],
        negative_prompt=[negative] * len(noise),
        height=HEIGHT,
        width=WIDTH,
        num_frames=FRAMES,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        latents=noise,
        output_type=kind,
    ).frames
    return found if kind == "latent" else (found * 255).round().to(torch.uint8).movedim(2, 1)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("solver", SCHEDULERS)
def test_cfg_is_the_stock_pipeline_to_the_bit(pipeline: Any, monkeypatch: Any, solver: str, count: int) -> None:
    scheduler, sampler = SCHEDULERS[solver]
    monkeypatch.setattr(pipeline, "scheduler", scheduler)
    denoiser = wan_denoiser(pipeline)
    noise = start(denoiser, count)
    sampled, ours = made(denoiser, CFG(5.0), sampler, PROMPTS[:count])
    assert torch.equal(sampled.latents, stock(pipeline, noise, "latent"))
    video = stock(pipeline, noise, "pt")
    # Videos are decoded one at a time here, whatever their number: in a batch of two some values are rounded the other way.
    assert torch.equal(ours, video) if count == 1 else (ours.int() - video.int()).abs().max() <= 1
    assert ours.shape == (count, 3, FRAMES, HEIGHT, WIDTH) and ours.float().std() > 10
    assert sampled.latents.dtype == torch.float32


@pytest.mark.parametrize("words", ["too bright, still", NEGATIVES["official"]])
def test_the_negative_prompt_is_the_stock_pipelines(pipeline: Any, words: str) -> None:
    denoiser = wan_denoiser(pipeline, words)
    sampled, _ = made(denoiser, CFG(5.0), UNIPC, PROMPTS)
    noise = start(denoiser, 2)
    assert torch.equal(sampled.latents, stock(pipeline, noise, "latent", words))
    assert not torch.equal(sampled.latents, stock(pipeline, noise, "latent"))


def test_s2_with_reuse_is_s2_without_to_the_bit(pipeline: Any) -> None:
    """cond has a call of its own, so that nothing is rounded differently."""
    denoiser = wan_denoiser(pipeline)
    plain, video = made(denoiser, ALWAYS, UNIPC, PROMPTS, reuse=False)
    reused, same = made(denoiser, ALWAYS, UNIPC, PROMPTS, reuse=True)
    assert torch.equal(plain.latents, reused.latents) and torch.equal(video, same)
    assert len({drawn[0] for drawn in plain.masks}) > 1 and all(len(drawn[0]) == 2 for drawn in plain.masks)
    assert (made(denoiser, CFG(5.0), UNIPC, PROMPTS)[0].latents - plain.latents).abs().max() > 0.05


def test_every_block_shows_in_what_is_predicted(pipeline: Any) -> None:
    denoiser = wan_denoiser(pipeline)
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(6))]
    with torch.inference_mode(), Evaluator(denoiser) as evaluator:
        found = evaluator(branches, start(denoiser, 2), 0.5, evaluator.encode(PROMPTS)).raw
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-3


def test_in_bf16_the_network_is_told_what_the_stock_pipeline_tells_it(saved: Path, pipeline: Any, monkeypatch: Any) -> None:
    """Timesteps stay whole numbers: 997 would be 996 in bf16."""
    network = WanTransformer3DModel.from_pretrained(saved / "transformer", torch_dtype=torch.bfloat16)
    told: list[dict[str, torch.Tensor]] = []
    network.register_forward_pre_hook(lambda _, args, kwargs: told.append(kwargs), with_kwargs=True)
    monkeypatch.setattr(pipeline, "transformer", network)
    denoiser = wan_denoiser(pipeline)
    stock(pipeline, start(denoiser, 1), "latent")
    by_stock, told[:] = list(told), []
    with torch.inference_mode(), Evaluator(denoiser) as evaluator:
        x, conditions = start(denoiser, 1), evaluator.encode(PROMPTS[:1])
        conditions = {
            name: type(of)({key: tensor.bfloat16() for key, tensor in of.tensors.items()}) for name, of in conditions.items()
        }
        for name in denoiser.order:
            out = denoiser.forward(x, 1.0, conditions[name], UNIPC.ready().timesteps[0])
    assert out.prediction.dtype == torch.bfloat16 and len(by_stock) == 2 * STEPS
    for ours, theirs in zip(told, by_stock, strict=False):  # of the first step
        for name in ("hidden_states", "timestep", "encoder_hidden_states"):
            assert torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype
    assert told[0]["timestep"].dtype == torch.int64 and told[0]["hidden_states"].dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_saved_network_is_read_as_diffusers_reads_it(folder: Path, model: Any, dtype: torch.dtype) -> None:
    """In bf16 with its islands of fp32; its table of positions is in no file."""
    want: Any = WanTransformer3DModel.from_pretrained(folder / "transformer", torch_dtype=dtype)
    loaded = WanDenoiser.load(model(f"model.weights={folder}"), CPU, dtype)
    got = loaded.network.state_dict()
    assert got.keys() == want.state_dict().keys()
    for name, tensor in want.state_dict().items():
        assert got[name].dtype == tensor.dtype and torch.equal(got[name], tensor), name
    for name, buffer in want.named_buffers():
        assert torch.equal(loaded.network.get_buffer(name), buffer), name
    islands = {str(tensor.dtype) for tensor in got.values()}
    assert islands == ({"torch.float32"} if dtype == torch.float32 else {"torch.float32", "torch.bfloat16"})
    assert {parameter.dtype for parameter in loaded.decoder.vae.parameters()} == {torch.float32}  # type: ignore[attr-defined]


def test_a_saved_folder_is_the_pipeline_in_memory(pipeline: Any, folder: Path, model: Any) -> None:
    config = model(f"model.weights={folder}", "model.negative=official")
    loaded = WanDenoiser.load(config, CPU, torch.float32)
    noise = start(loaded, 2)
    sampled, ours = made(loaded, CFG(5.0), UNIPC, PROMPTS)
    want = stock(pipeline, noise, "latent", NEGATIVES["official"])
    torch.testing.assert_close(sampled.latents, want, rtol=0, atol=1e-5)
    assert (ours.int() - stock(pipeline, noise, "pt", NEGATIVES["official"]).int()).abs().max() <= 1
    assert config.pipeline().revisions().keys() == {"transformer", "vae", "tokenizer", "text_encoder"}


def test_prompts_are_kept_without_zeros_and_the_encoder_is_opened_once(
    folder: Path, model: Any, tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    opened: list[str] = []
    load = pipeline_text.load_text
    monkeypatch.setattr(pipeline_text, "load_text", lambda *about: opened.append("text") or load(*about))
    config, long = model(f"model.weights={folder}", "model.negative=official"), "a dog " * 300
    WanDenoiser.precompute_text(config, [*PROMPTS, long], CPU, torch.float32)
    kept = list((tmp_path / "cache" / "prompts").rglob("*.safetensors"))
    assert opened == ["text"] and len(kept) == 4
    assert sorted(file.stat().st_size for file in kept)[0] < 4000  # of 512 rows: 66,000
    for _ in range(2):
        loaded = WanDenoiser.load(config, CPU, torch.float32)
        found = {name: of.tensors for name, of in loaded.encode([*PROMPTS, long]).items()}
        assert {name: {k: v.shape for k, v in of.items()} for name, of in found.items()} == {
            name: {"tokens": (3, T5_TOKENS, 32)} for name in ("cond", "uncond")
        }
    assert opened == ["text"] and not found["cond"]["tokens"][1, 20:].any() and found["cond"]["tokens"][2].any(-1).all()
    assert torch.equal(found["uncond"]["tokens"][0], found["uncond"]["tokens"][2])
    assert "tokenizer reads 512 of" in capfd.readouterr().err


def test_offload_has_one_part_on_the_device_and_tiling_is_passed_on(folder: Path, model: Any, monkeypatch: Any) -> None:
    from s2g.models.shared.offload import Offload

    moved: list[tuple[str, str]] = []
    monkeypatch.setattr(Offload, "_move", staticmethod(lambda part, device: moved.append((type(part).__name__, device.type))))
    config = model(f"model.weights={folder}", "model.memory=offload", "model.vae_tiling=true")
    loaded = WanDenoiser.load(config, CPU, torch.float32)
    loaded.offload.device = torch.device("meta")  # whatever is moved there would be seen
    assert moved == [] and loaded.decoder.vae.use_tiling  # type: ignore[attr-defined]
    made(loaded, CFG(2.0), UNIPC, PROMPTS[:1])
    assert moved == [("WanTransformer3DModel", "meta"), ("WanTransformer3DModel", "cpu"), ("AutoencoderKLWan", "meta")]


def said_of(make: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        make()
    return str(caught.value)


def test_folders_of_something_else_are_named(folder: Path, model: Any, tmp_path: Path) -> None:
    flux_pipeline(tmp_path / "tokenizers").save_pretrained(tmp_path / "flux")
    said = said_of(model(f"model.weights={tmp_path / 'flux'}").pipeline)
    assert "holds a FluxPipeline, and wan_1_3b needs a WanPipeline; it is of model.family = flux" in said
    index = folder / "model_index.json"
    about = json.loads(index.read_text())
    index.write_text(json.dumps({**about, "transformer_2": ["diffusers", "WanTransformer3DModel"]}))  # Wan2.2
    assert "its pipeline has a transformer_2, and wan_1_3b's has none" in said_of(model(f"model.weights={folder}").pipeline)
    index.write_text(json.dumps(about))
    for part, file in (("vae", "config.json"), ("tokenizer", "tokenizer_config.json"), ("text_encoder", "config.json")):
        (folder / part).rename(tmp_path / "away")
        assert f"no file {part}/{file} in {folder}" in said_of(model(f"model.weights={folder}").pipeline)
        (tmp_path / "away").rename(folder / part)


def test_other_networks_and_decoders_are_refused_before_weights_are_read(folder: Path, model: Any) -> None:
    def said(*typed: str) -> str:
        return said_of(lambda: WanDenoiser.load(model(f"model.weights={folder}", *typed), CPU, torch.float32))

    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(b"never read")
    assert "its transformer has 6 blocks, and model.blocks = 30" in said("model.blocks=30")
    file = folder / "transformer" / "config.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps({**about, "image_dim": 1280, "added_kv_proj_dim": 24}))  # begins with an image
    assert "its transformer has image_dim, and wan_1_3b does not" in said()
    file.write_text(json.dumps(about))
    assert "not a weights file" in said()
    weights.write_bytes(kept)
    AutoencoderKLWan(base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4).save_pretrained(
        folder / "vae"
    )
    assert "vae has 4 channels of 4 frames and 8 pixels" in said() and "16 channels of 4 frames and 8 pixels" in said()


def test_random_weights_show_every_block(composed: Callable[..., dict]) -> None:
    sizes = (f"model.frames={FRAMES}", f"model.height={HEIGHT}", f"model.width={WIDTH}", f"model.network={NETWORK}")
    typed = ("model=wan_14b", "model.weights=random:3", "model.blocks=6", *sizes, "bench=prompts", "guidance=none")
    config = outline(composed(*typed)).model
    loaded = WanDenoiser.load(config, CPU, torch.float32)
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(6))]
    with torch.inference_mode(), Evaluator(loaded) as evaluator:
        found = evaluator(branches, start(loaded, 2), 0.5, evaluator.encode(["a", "b"])).raw
    assert 0.1 < found[COND].std() < 10
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-3
    _, video = made(loaded, CFG(2.0), UNIPC, ["a"])
    assert video.shape == (1, 3, FRAMES, HEIGHT, WIDTH) and video.float().std() > 1
    half = WanDenoiser.load(config, CPU, torch.bfloat16).network
    assert half.dtype == torch.bfloat16 and half.scale_shift_table.dtype == torch.float32


def test_a_front_end_with_a_pooled_vector_is_read_without_it() -> None:
    class Both:
        def encode(self, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.ones(len(prompts), 3, 32), torch.ones(len(prompts), 7)

    denoiser = WanDenoiser(wan_network(), Both(), lambda latents: latents, (2, 4, 6))  # type: ignore[arg-type]
    assert denoiser.latent_shape == (16, 2, 4, 6) and denoiser.token_grid == (2, 2, 3) and denoiser.passes == "separate"
    conditions = denoiser.encode(["a", "b"])
    assert [set(conditions[name].tensors) for name in ("cond", "uncond")] == [{"tokens"}] * 2
    with torch.inference_mode():
        assert denoiser.forward(start(denoiser, 2), 0.5, conditions["cond"]).prediction.shape == (2, 16, 2, 4, 6)


# Of /480x832x81/: TFLOP a pass; S2 over CFG with the first and last block protected, plain and with reuse; 720p of the 14B.
KNOWN = {
    ("wan_1_3b", 480, 832): (1_419.0, 283.00, 1.450, 1.329),
    ("wan_14b", 480, 832): (14_288.5, 1678.4, 1.450, 1.353),
    ("wan_14b", 720, 1280): (14_288.5, 6523.4, 1.450, 1.353),
}


@pytest.mark.slow("full-size meta model")
@pytest.mark.parametrize("of", KNOWN)
def test_full_size_on_the_meta_device(of: tuple[str, int, int], composed: Callable[..., dict]) -> None:
    name, height, width = of
    millions, tera, plain, reuse = KNOWN[of]
    typed = (f"model={name}", f"model.height={height}", f"model.width={width}", "bench=vbench", "model.weights=random")
    config = outline(composed(*typed, "guidance=none")).model
    twin = WanDenoiser.meta_model(config)
    assert len(twin.blocks) == config.blocks
    assert twin.latent_shape == (16, 21, height // 8, width // 8) and twin.token_grid == (21, height // 16, width // 16)
    count = sum(parameter.numel() for parameter in twin.network.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=3e-5) and meta_model(config).parameters() == count
    cost = cost_of(twin, "")
    assert cost.total / 1e12 == pytest.approx(tera, rel=5e-4)
    ratios = expected_ratios(cost, count_from_ratio(0.1, len(cost.blocks)), (0, -1))
    assert (ratios.plain, ratios.reuse) == (pytest.approx(plain, abs=6e-4), pytest.approx(reuse, abs=6e-4))

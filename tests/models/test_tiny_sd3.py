"""The built-in text-to-image adapter: reuse is exact, FLOPs are counted on its twin, files that do not fit are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from s2g.config.schema import ModelConfig
from s2g.engine.resolve import outline
from s2g.engine.worker import cost_of
from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.models.tiny_sd3 import TinySD3, TinySD3Denoiser, initialise
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.euler import Euler
from s2g.worlds.shapes.vocabulary import STILLS
from tests.offline_pipelines import made, start
from tests.small_networks import randomise

CPU = torch.device("cpu")
BLOCKS = 4
NETWORK = "{sample_size: 8, num_layers: 4, attention_head_dim: 8, num_attention_heads: 2, caption_projection_dim: 16}"
PROMPTS = ["a red striped circle left of a blue solid square", "a green solid ring"]
ALWAYS = S2(CFG(4.5), omega=0.75, drop=2, window=Window(0.0, 1.0))


@pytest.fixture
def model(composed: Callable[..., dict]) -> Callable[..., ModelConfig]:
    def make(*typed: str) -> ModelConfig:
        small = ("model=tiny_sd3", f"model.network={NETWORK}", f"model.blocks={BLOCKS}", "model.resolution=8")
        return outline(composed(*small, "bench=prompts", "guidance=none", *typed)).model

    return make


@pytest.fixture
def pair(model: Callable[..., ModelConfig]) -> TinySD3:
    drawn = TinySD3(model().network)
    randomise(drawn, 0.15)
    return drawn


@pytest.fixture
def denoiser(model: Callable[..., ModelConfig], pair: TinySD3) -> TinySD3Denoiser:
    return TinySD3Denoiser.of(pair, model())


def test_s2_with_reuse_is_s2_without(denoiser: TinySD3Denoiser) -> None:
    plain, reused = (made(denoiser, ALWAYS, Euler(5), PROMPTS, reuse)[0].latents for reuse in (False, True))
    torch.testing.assert_close(reused, plain, rtol=0, atol=1e-5)
    cfg, images = made(denoiser, CFG(4.5), Euler(5), PROMPTS)
    assert (cfg.latents - plain).abs().max() > 1e-3  # the masks are seen
    assert images.shape == (2, 3, 8, 8) and images.dtype == torch.uint8


def test_every_block_and_the_words_show(denoiser: TinySD3Denoiser) -> None:
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(BLOCKS))]
    with torch.inference_mode(), Evaluator(denoiser) as evaluator:
        found = evaluator(branches, start(denoiser, 2), 0.5, evaluator.encode(PROMPTS)).raw
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-3


def test_the_empty_prompt_is_no_condition(denoiser: TinySD3Denoiser) -> None:
    with torch.inference_mode():
        of = denoiser.encode([PROMPTS[0], ""])
    for name, (rows, shape) in {"tokens": (2, (2, STILLS.length, 96)), "pooled": (2, (2, 96))}.items():
        cond, uncond = of["cond"].tensors[name], of["uncond"].tensors[name]
        assert cond.shape == uncond.shape == shape and len(cond) == rows
        torch.testing.assert_close(cond[1], uncond[1])
        assert (cond[0] - uncond[0]).abs().max() > 1e-3
        assert torch.equal(uncond[0], uncond[1])


def test_its_velocity_is_that_of_the_network_in_training(denoiser: TinySD3Denoiser, pair: TinySD3) -> None:
    x, numbers = start(denoiser, 2), torch.tensor([STILLS.tokens(prompt) for prompt in PROMPTS])
    with torch.inference_mode():
        want = pair(x, torch.full((2,), 0.3), numbers)
        got = denoiser.forward(x, 0.3, denoiser.encode(PROMPTS)["cond"]).prediction
    torch.testing.assert_close(got, want)


def test_flops_are_counted_on_its_twin(model: Callable[..., ModelConfig], denoiser: TinySD3Denoiser) -> None:
    twin = TinySD3Denoiser.meta_model(model())
    assert {parameter.device.type for parameter in twin.network.parameters()} == {"meta"}
    cost = cost_of(twin, "")
    assert len(cost.blocks) == BLOCKS and cost.stem > 0
    width, image, text = 16, 4, STILLS.length
    # Queries, keys, values, output and the MLP of both streams, modulation, and attention: 2 a multiply-accumulate.
    linear, modulation = 2 * (4 + 8) * width**2 * (image + text), 2 * 2 * 6 * width**2
    attention = 4 * width * (image + text) ** 2
    assert cost.blocks[0] == cost.blocks[1] == linear + modulation + attention
    assert cost.blocks[-1] < cost.blocks[0]  # after the last block nothing is asked of the text
    account = Account()
    with torch.inference_mode(), Evaluator(denoiser, account=account) as evaluator:
        evaluator([COND, UNCOND], start(denoiser, 1), 0.5, evaluator.encode(PROMPTS[:1]))
    assert cost.of(account) == 2 * cost.total


def test_a_file_is_the_network_it_was_saved_from(
    model: Callable[..., ModelConfig], pair: TinySD3, denoiser: TinySD3Denoiser, tmp_path: Path
) -> None:
    """Bare or as the average of a training's checkpoint, and every tensor of it is used."""
    save_file(pair.state_dict(), tmp_path / "bare.safetensors")
    torch.save({"ema": pair.state_dict(), "step": 3}, tmp_path / "training.pt")
    want = made(denoiser, CFG(2.0), Euler(3), PROMPTS)[0].latents
    for name in ("bare.safetensors", "training.pt"):
        loaded = TinySD3Denoiser.load(model(f"model.weights={tmp_path / name}"), CPU, torch.float32)
        assert torch.equal(made(loaded, CFG(2.0), Euler(3), PROMPTS)[0].latents, want)


def test_files_that_do_not_fit_are_named(model: Callable[..., ModelConfig], pair: TinySD3, tmp_path: Path) -> None:
    def said_of(state: dict[str, torch.Tensor] | bytes, name: str = "odd.safetensors") -> str:
        path = tmp_path / name
        if isinstance(state, bytes):
            path.write_bytes(state)
        else:
            save_file(state, path)
        with pytest.raises(UserError) as caught:
            TinySD3Denoiser.load(model(f"model.weights={path}"), CPU, torch.float32)
        assert str(path) in str(caught.value)
        return str(caught.value)

    state = pair.state_dict()
    transformer = {name.removeprefix("transformer."): value for name, value in state.items() if name.startswith("transformer.")}
    said = said_of(transformer)  # as diffusers saves it, without the text encoder
    assert "lacks transformer.pos_embed" in said and "has besides " in said
    lacking = {name: value for name, value in state.items() if name != "text.places"}
    assert "lacks text.places" in said_of(lacking)
    assert f"text.places (3, 96) instead of ({STILLS.length}, 96)" in said_of({**state, "text.places": torch.zeros(3, 96)})
    for content in (b"hello", b"", b"\x80\x02]q\x00.", b"a" * 100, b"\x89PNG\r\n", b"(dp0\n.", b"PK\x03\x04"):
        assert "not a weights file" in (said := said_of(content, "odd.pt")) or "does not hold tensors" in said


def test_a_fresh_block_does_nothing(pair: TinySD3, model: Callable[..., ModelConfig]) -> None:
    """What training begins from: gates and head are zero, so the velocity is."""
    initialise(pair)
    fresh = TinySD3Denoiser.of(pair, model())
    with torch.inference_mode():
        assert not fresh.forward(start(fresh, 2), 0.5, fresh.encode(PROMPTS)["cond"]).prediction.any()


def test_what_is_shipped_is_what_is_stated(composed: Callable[..., dict]) -> None:
    config = outline(composed("model=tiny_sd3", "bench=shapes_t2i", "guidance=none")).model
    twin = TinySD3Denoiser.meta_model(config)
    assert len(twin.blocks) == config.blocks == 12 and twin.latent_shape == (3, 32, 32) and twin.token_grid == (8, 8)
    shipped = load_file(config.weights_file())
    assert all(torch.isfinite(value).all() for value in shipped.values())
    loaded = TinySD3Denoiser.load(config, CPU, torch.float32)
    assert sum(value.numel() for value in loaded.network.state_dict().values()) < sum(
        value.numel() for value in shipped.values()
    )

"""The built-in text-to-video adapter: reuse is exact, FLOPs are counted on its twin, files that do not fit are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
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
from s2g.models.tiny_wan import TinyWan, TinyWanDenoiser, initialise, with_positions
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.euler import Euler
from s2g.worlds.shapes.motion import STILL, attributes_of, caption, held_out, kind_of, render
from s2g.worlds.shapes.vocabulary import VIDEOS
from tests.offline_pipelines import made, start
from tests.small_networks import randomise

CPU = torch.device("cpu")
BLOCKS = 4
NETWORK = "{num_layers: 4, attention_head_dim: 12, num_attention_heads: 2, ffn_dim: 32, text_dim: 16, freq_dim: 16}"
SIZE = ("model.frames=4", "model.height=8", "model.width=8")
PROMPTS = ["a red circle moving left", "a green ring standing still"]
ALWAYS = S2(CFG(4.5), omega=0.75, drop=2, window=Window(0.0, 1.0))


@pytest.fixture
def model(composed: Callable[..., dict]) -> Callable[..., ModelConfig]:
    def make(*typed: str) -> ModelConfig:
        small = ("model=tiny_wan", f"model.network={NETWORK}", f"model.blocks={BLOCKS}", *SIZE)
        return outline(composed(*small, "bench=prompts", f"bench.text={PROMPTS}", "guidance=none", *typed)).model

    return make


@pytest.fixture
def pair(model: Callable[..., ModelConfig]) -> TinyWan:
    drawn = TinyWan(model().network)
    randomise(drawn, 0.25)
    return drawn


@pytest.fixture
def denoiser(model: Callable[..., ModelConfig], pair: TinyWan) -> TinyWanDenoiser:
    return TinyWanDenoiser.of(pair, model())


def test_s2_with_reuse_is_s2_without_to_the_bit(denoiser: TinyWanDenoiser) -> None:
    """Its passes are separate, so the resumed pass has the conditional one's very batch."""
    plain, reused = (made(denoiser, ALWAYS, Euler(5), PROMPTS, reuse)[0].latents for reuse in (False, True))
    assert torch.equal(reused, plain)
    cfg, videos = made(denoiser, CFG(4.5), Euler(5), PROMPTS)
    assert (cfg.latents - plain).abs().max() > 1e-3  # the masks are seen
    assert videos.shape == (2, 3, 4, 8, 8) and videos.dtype == torch.uint8


def test_every_block_and_the_words_show(denoiser: TinyWanDenoiser) -> None:
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(BLOCKS))]
    with torch.inference_mode(), Evaluator(denoiser) as evaluator:
        found = evaluator(branches, start(denoiser, 2), 0.5, evaluator.encode(PROMPTS)).raw
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-4


def test_its_velocity_is_that_of_the_network_in_training(denoiser: TinyWanDenoiser, pair: TinyWan) -> None:
    x, numbers = start(denoiser, 2), torch.tensor([VIDEOS.tokens(prompt) for prompt in PROMPTS])
    with torch.inference_mode():
        want = pair(x, torch.full((2,), 0.3), numbers)
        got = denoiser.forward(x, 0.3, denoiser.encode(PROMPTS)["cond"]).prediction
    torch.testing.assert_close(got, want)


def test_a_pixel_is_told_its_frame_row_and_column() -> None:
    x = torch.randn(2, 3, 4, 8, 6)
    told = with_positions(x)
    assert torch.equal(told[:, :3], x) and told.shape == (2, 6, 4, 8, 6)
    for channel, axis in ((3, 1), (4, 2), (5, 3)):
        place = told[:, channel].movedim(axis, 0)
        want = torch.linspace(-1, 1, len(place)).view(-1, 1, 1, 1)
        torch.testing.assert_close(place, want.expand_as(place))


def test_flops_are_counted_on_its_twin(model: Callable[..., ModelConfig], denoiser: TinyWanDenoiser) -> None:
    twin = TinyWanDenoiser.meta_model(model())
    assert {parameter.device.type for parameter in twin.network.parameters()} == {"meta"}
    cost = cost_of(twin, "")
    assert len(cost.blocks) == BLOCKS and cost.stem > 0
    width, tokens, text, hidden = 24, 4 * 2 * 2, VIDEOS.length, 32
    # Self-attention and its four matrices; cross-attention, of which two matrices are applied to the words; the MLP.
    own = 2 * 4 * width**2 * tokens + 4 * width * tokens**2
    cross = 2 * 2 * width**2 * (tokens + text) + 4 * width * tokens * text
    assert set(cost.blocks) == {own + cross + 2 * 2 * width * hidden * tokens}
    account = Account()
    with torch.inference_mode(), Evaluator(denoiser, account=account) as evaluator:
        evaluator([COND, UNCOND], start(denoiser, 1), 0.5, evaluator.encode(PROMPTS[:1]))
    assert cost.of(account) == 2 * cost.total


def test_a_file_is_the_network_it_was_saved_from(model: Callable[..., ModelConfig], pair: TinyWan, tmp_path: Path) -> None:
    save_file(pair.state_dict(), tmp_path / "bare.safetensors")
    torch.save({"ema": pair.state_dict(), "step": 3}, tmp_path / "training.pt")
    want = made(TinyWanDenoiser.of(pair, model()), CFG(2.0), Euler(3), PROMPTS)[0].latents
    for name in ("bare.safetensors", "training.pt"):
        loaded = TinyWanDenoiser.load(model(f"model.weights={tmp_path / name}"), CPU, torch.float32)
        assert torch.equal(made(loaded, CFG(2.0), Euler(3), PROMPTS)[0].latents, want)


def test_files_that_do_not_fit_are_named(model: Callable[..., ModelConfig], pair: TinyWan, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    for state, said in (
        ({k: v for k, v in pair.state_dict().items() if k != "text.places"}, "lacks text.places"),
        ({**pair.state_dict(), "text.places": torch.zeros(3, 16)}, f"text.places (3, 16) instead of ({VIDEOS.length}, 16)"),
    ):
        save_file(state, path)
        with pytest.raises(UserError) as caught:
            TinyWanDenoiser.load(model(f"model.weights={path}"), CPU, torch.float32)
        assert said in str(caught.value) and str(path) in str(caught.value)


def test_what_makes_no_network_is_named(model: Callable[..., ModelConfig]) -> None:
    config = model()
    network = {name: value for name, value in config.network.items() if name != "text_dim"}
    with pytest.raises(UserError, match="no such Wan"):
        TinyWanDenoiser.meta_model(replace(config, network=network))


def test_a_fresh_block_does_nothing(pair: TinyWan, model: Callable[..., ModelConfig]) -> None:
    """What training begins from: gates and head are zero, so the velocity is."""
    initialise(pair)
    fresh = TinyWanDenoiser.of(pair, model())
    with torch.inference_mode():
        assert not fresh.forward(start(fresh, 2), 0.5, fresh.encode(PROMPTS)["cond"]).prediction.any()


def test_what_is_shipped_is_what_is_stated(composed: Callable[..., dict]) -> None:
    config = outline(composed("model=tiny_wan", "bench=shapes_t2v", "guidance=none")).model
    twin = TinyWanDenoiser.meta_model(config)
    assert len(twin.blocks) == config.blocks == 10
    assert twin.latent_shape == (3, 8, 16, 16) and twin.token_grid == (8, 4, 4)
    assert all(torch.isfinite(value).all() for value in load_file(config.weights_file()).values())
    TinyWanDenoiser.load(config, CPU, torch.float32)


def test_what_is_shipped_hears_which_way(composed: Callable[..., dict]) -> None:
    """Of noisy videos, its velocity is nearer to the true one with the caption than with the opposite way named."""
    config = outline(composed("model=tiny_wan", "bench=shapes_t2v", "guidance=none")).model
    shipped = TinyWanDenoiser.load(config, CPU, torch.float32)
    moving = held_out()[attributes_of(held_out())["motion"] != STILL]
    of = attributes_of(moving)
    opposite = kind_of(of["shape"], of["color"], of["motion"] ^ 1)
    videos, level = torch.from_numpy(render(moving, 3, np.arange(len(moving))) * 2 - 1), 0.9
    noise = torch.randn(videos.shape, generator=torch.Generator().manual_seed(0))
    errors = []
    with torch.inference_mode():
        for kinds in (moving, opposite):
            words = shipped.encode([caption(int(kind)) for kind in kinds])["cond"]
            found = shipped.forward((1 - level) * videos + level * noise, level, words).prediction
            errors.append((found - (noise - videos)).square().mean((1, 2, 3, 4)))
    assert (errors[0] < errors[1]).float().mean() >= 0.9

"""Files in the official layout: whatever holds them gives the same network; what is not there or does not fit is named."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from s2g.config.schema import ModelConfig
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.models.dit import DiTDenoiser
from s2g.models.sit import SiT, SiTDenoiser
from tests.small_networks import randomise

SIZES: dict[str, Any] = dict(size=8, patch=2, channels=4, width=32, depth=3, heads=2, num_classes=10)
KINDS = {"sit_xl": SiTDenoiser, "dit_xl": DiTDenoiser}


def network(learn_sigma: bool = True) -> SiT:
    made = randomise(SiT(**SIZES, learn_sigma=learn_sigma))
    assert isinstance(made, SiT)
    return made


@pytest.fixture
def config(composed: Callable[..., dict]) -> Callable[..., ModelConfig]:
    """config("sit_xl", FILE): the model of that YAML, small, with a random decoder."""

    def make(name: str, weights: Path | str, **network: Any) -> ModelConfig:
        raw = composed(f"model={name}", "bench=imagenet", "guidance=none", "model.vae=random", "model.blocks=3")
        raw["model"] |= {"weights": str(weights), "network": {**SIZES, "learn_sigma": True, **network}}
        return outline(raw).model

    return make


def output(kind: type[SiTDenoiser], config: ModelConfig) -> torch.Tensor:
    adapter = kind.load(config, torch.device("cpu"), torch.float32)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return adapter.forward(x, 0.4, adapter.encode([1, 2])["cond"], torch.tensor(400)).prediction


@pytest.mark.parametrize("name", KINDS)
def test_bare_ema_checkpoint_and_safetensors_are_one_network(name: str, config: Any, tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save(state, tmp_path / "bare.pt")
    torch.save({"ema": state}, tmp_path / "ema.pt")
    other = {key: torch.zeros_like(value) for key, value in state.items()}
    told = argparse.Namespace(model="SiT-XL/2", lr=1e-4)  # what the official train.py stores beside the weights
    torch.save({"model": other, "ema": state, "opt": {"state": {}}, "args": told}, tmp_path / "checkpoint.pt")
    save_file(state, tmp_path / "same.safetensors")
    bare, *others = (output(KINDS[name], config(name, tmp_path / file)) for file in sorted(p.name for p in tmp_path.iterdir()))
    assert len(others) == 3 and bare.abs().max() > 0.1
    for found in others:
        assert torch.equal(found, bare)


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("held", [True, False])
def test_the_head_in_the_file_says_whether_there_are_sigma_channels(
    stated: bool, held: bool, config: Any, tmp_path: Path
) -> None:
    torch.save(network(held).state_dict(), tmp_path / "w.pt")
    found = DiTDenoiser.load(config("dit_xl", tmp_path / "w.pt", learn_sigma=stated), torch.device("cpu"), torch.float32)
    assert len(found.network.final_layer.linear.weight) == (32 if held else 16)
    out = found.forward(torch.zeros(1, 4, 8, 8), 0.5, found.encode([0])["cond"], torch.tensor(1))
    assert (out.variance is not None) == held and out.prediction.shape == (1, 4, 8, 8)


def said_of(config: ModelConfig) -> str:
    with pytest.raises(UserError) as caught:
        SiTDenoiser.load(config, torch.device("cpu"), torch.float32)
    return str(caught.value)


def test_a_missing_file_is_answered_with_where_to_get_it(config: Any) -> None:
    for name, source in (("sit_xl", "willisma/SiT"), ("dit_xl", "facebookresearch/DiT")):
        said = said_of(config(name, "nowhere.pt"))
        assert "model.weights = nowhere.pt: no file nowhere.pt" in said and source in said and "2.7 GB" in said


def test_a_file_of_something_else_is_answered_with_the_keys_that_differ(config: Any, tmp_path: Path) -> None:
    state = network().state_dict()
    theirs = {f"transformer_{key}" if key.startswith("blocks") else key: value for key, value in state.items()}
    torch.save(theirs, tmp_path / "renamed.pt")
    said = said_of(config("sit_xl", tmp_path / "renamed.pt"))
    assert "lacks blocks.0." in said and "has besides transformer_blocks.0." in said and "more" in said
    said = said_of(config("sit_xl", tmp_path / "renamed.pt", width=48))
    assert "x_embedder.proj.weight (32, 4, 2, 2) instead of (48, 4, 2, 2)" in said
    torch.save(state | {"final_layer.linear.weight": torch.zeros(20, 32)}, tmp_path / "head.pt")
    assert "final_layer.linear.weight (20, 32) instead of (32, 32)" in said_of(config("sit_xl", tmp_path / "head.pt"))


def test_a_pickle_that_would_run_code_is_refused(config: Any, tmp_path: Path) -> None:
    torch.save({"ema": network().state_dict(), "args": Path("x")}, tmp_path / "odd.pt")
    assert "not a weights file" in said_of(config("sit_xl", tmp_path / "odd.pt"))

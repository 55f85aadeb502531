"""Checkpoints as training scripts leave them: the same network is found in each; damaged ones are named before sampling."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from s2g.config.schema import ModelConfig
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.models.shared.checkpoint import choose_weights
from s2g.models.sit import SiT, SiTDenoiser
from tests.small_networks import randomise

SIZES: dict[str, Any] = dict(size=8, patch=2, channels=4, width=32, depth=3, heads=2, num_classes=10)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return randomise(SiT(**SIZES)).state_dict()


@pytest.fixture
def config(composed: Callable[..., dict]) -> Callable[[Path], ModelConfig]:
    def make(weights: Path) -> ModelConfig:
        raw = composed("model=sit_xl", "bench=imagenet", "guidance=none", "model.vae=random", "model.blocks=3")
        raw["model"] |= {"weights": str(weights), "network": {**SIZES, "learn_sigma": True}}
        return outline(raw).model

    return make


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def raw(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}


OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-4}]}
ADAM_BY_NAME = {"exp_avg": {"pos_embed": torch.ones(3)}}
FORMS: dict[str, Callable[[dict[str, Tensor]], dict[str, Any]]] = {
    "bare": lambda s: s,
    "DistributedDataParallel": lambda s: under("module.", s),
    "torch.compile": lambda s: under("_orig_mod.", s),
    "both": lambda s: {"model": under("module._orig_mod.", s)},
    "compiled blocks": lambda s: {name.replace("blocks.1.", "blocks.1._orig_mod."): tensor for name, tensor in s.items()},
    "latent diffusion": lambda s: {
        "state_dict": under("model.diffusion_model.", s) | {"first_stage_model.encoder.bias": torch.ones(3)},
        "global_step": 7,
    },
    "official": lambda s: {"model": raw(s), "ema": s, "opt": OPTIMIZER, "args": argparse.Namespace(lr=1e-4)},
    "ema last": lambda s: {
        "epoch": 3,
        "optimizer": ADAM_BY_NAME,
        "model": under("module.", raw(s)),
        "ema_model": under("module.", s),
    },
    "lightning": lambda s: {"state_dict": under("net.", raw(s)) | under("ema.module.", s)},
    "nested": lambda s: {"state": {"ema": {"params": s, "decay": torch.tensor(0.999)}, "model": raw(s)}},
    "ema of something else": lambda s: {"ema": {"decay": torch.tensor(0.999)}, "model_state_dict": s},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_network_and_one_line_says_what_was_taken(
    form: str, state: dict[str, Tensor], config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(FORMS[form](state), tmp_path / "w.pt")
    loaded = SiTDenoiser.load(config(tmp_path / "w.pt"), CPU, torch.float32).network.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (form not in ("bare", "torch.compile", "compiled blocks")) and all(
        "w.pt: took " in line for line in lines
    )


def test_the_line_names_the_place_and_the_prefix(state: dict[str, Tensor]) -> None:
    weights = choose_weights(FORMS["ema last"](state), state)
    assert weights is not None and weights.taken == "'ema_model' without the prefix 'module.' (it also holds model)"


def test_prefixes_are_stripped_from_safetensors_too(state: dict[str, Tensor], config: Any, tmp_path: Path) -> None:
    save_file(under("model.", state), tmp_path / "w.safetensors")
    loaded = SiTDenoiser.load(config(tmp_path / "w.safetensors"), CPU, torch.float32).network.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def said_of(config: ModelConfig) -> str:
    with pytest.raises(UserError) as caught:
        SiTDenoiser.load(config, CPU, torch.float32)
    assert "weights_only" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("value", "held"), [(float("nan"), "NaN"), (float("inf"), "infinity"), (-float("inf"), "infinity")])
def test_a_tensor_that_is_not_finite_is_named(
    value: float, held: str, state: dict[str, Tensor], config: Any, tmp_path: Path
) -> None:
    damaged = {name: tensor.clone() for name, tensor in state.items()}
    damaged["blocks.1.attn.qkv.weight"][3, 5] = value
    save_file(damaged, tmp_path / "w.safetensors")
    assert f"blocks.1.attn.qkv.weight holds {held}" in said_of(config(tmp_path / "w.safetensors"))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 12345\n" % (b"4d" * 32)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("content", "problem", "todo"),
    [
        (LFS, "it is a git-lfs pointer, not the file itself", "do: git -C {folder} lfs pull"),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "it is an HTML page", "/resolve/"),
        (b"", "it is empty", "download it again"),
    ],
)
def test_what_only_bears_the_name_is_named(
    suffix: str, content: bytes, problem: str, todo: str, config: Any, tmp_path: Path
) -> None:
    (tmp_path / f"w.{suffix}").write_bytes(content)
    said = said_of(config(tmp_path / f"w.{suffix}"))
    assert f"w.{suffix}: not a weights file: {problem}" in said and todo.format(folder=tmp_path) in said


def test_pickles_of_anything_else_are_named(state: dict[str, Tensor], config: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    for content, problem in (
        ({0: torch.ones(3), 1: torch.ones(2)}, "its tensors have numbers instead of names"),
        ([torch.ones(3)], "does not hold tensors by name"),
        ({"ema": state, "args": Path("x")}, "it holds an object of pathlib."),
        (state | {"pos_embed": state["pos_embed"].to_sparse()}, "pos_embed is a sparse tensor"),
        (state | {"pos_embed": state["pos_embed"].to(torch.int8)}, "pos_embed is int8: quantized?"),
    ):
        torch.save(content, path)
        assert problem in said_of(config(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "not a weights file" in said_of(config(path))


def test_paths_that_no_file_has_are_named(config: Any) -> None:
    assert "a name of 303 bytes" in said_of(config(Path("x" * 300 + ".pt")))
    with pytest.raises(UserError, match="a path cannot hold a NUL character"):
        config(Path("a\0b.pt")).weights_file()

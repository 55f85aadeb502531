"""Latents to images: in parts as whole, from diffusers' layout, with the official rounding; what is missing is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from s2g.config.schema import ModelConfig, WeakConfig
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.models.shared.vae import CHUNK, SCALE, Decoder, load_decoder, random_vae
from s2g.models.sit import SiT, SiTDenoiser, pixels_of
from tests.small_networks import randomise

CPU = torch.device("cpu")


@pytest.fixture
def model(composed: Callable[..., dict]) -> Callable[..., ModelConfig]:
    """model("model.vae=random"): SiT-XL/2's configuration with that."""

    def make(*typed: str) -> ModelConfig:
        return outline(composed("model=sit_xl", "bench=imagenet", "guidance=none", *typed)).model

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small autoencoder as diffusers stores it."""
    random_vae(3).save_pretrained(tmp_path / "vae")
    return tmp_path / "vae"


def latents(batch: int) -> Tensor:
    return torch.randn(batch, 4, 4, 4, generator=torch.Generator().manual_seed(0))


class Counting(nn.Module):
    """A decoder that notes how many latents it is given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def decode(self, z: Tensor, return_dict: bool) -> tuple[Tensor]:
        self.seen.append(len(z))
        return (z[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3) * SCALE,)


def test_parts_are_the_whole() -> None:
    vae, z = random_vae(0).eval(), latents(11)
    with torch.no_grad():
        whole = vae.decode(z / 0.18215, return_dict=False)[0]  # type: ignore[arg-type]
        for chunk in (1, 4, 11, 50):
            parts = torch.cat(list(Decoder(vae, chunk)(z)))
            torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)
    assert whole.shape == (11, 3, 32, 32) and whole.std() > 0.01
    assert (whole[0] - whole[1]).abs().max() > 0.01


def test_a_unit_is_decoded_a_few_at_a_time_and_rounded_as_the_official_script_does() -> None:
    counting: Any = Counting()
    network = randomise(SiT(size=4, patch=2, channels=4, width=32, depth=1, heads=2, num_classes=3))
    adapter = SiTDenoiser(network, 4, 4, "batched", Decoder(counting))  # type: ignore[arg-type]
    z = latents(2 * CHUNK + 3)
    decoded = adapter.decode(z)
    assert counting.seen == [CHUNK, CHUNK, 3]
    assert decoded.dtype == torch.uint8 and decoded.shape == (2 * CHUNK + 3, 3, 32, 32)
    assert torch.equal(decoded[:, :, ::8, ::8], pixels_of(z[:, :3]))
    values = torch.tensor([-1.01, -1.0, 0.0, 0.0039, 0.00395, 0.996, 1.0, 9.0])
    assert pixels_of(values).tolist() == [0, 0, 128, 128, 128, 254, 255, 255]  # 128.503 is cut to 128


def test_a_folder_of_diffusers_is_read_whichever_its_form(folder: Path, model: Any) -> None:
    want = random_vae(3).eval()
    with torch.no_grad():
        images = want.decode(latents(2) / SCALE, return_dict=False)[0]  # type: ignore[arg-type]
        hashes = []
        for form in ("safetensors", "bin"):
            if form == "bin":
                weights = folder / "diffusion_pytorch_model.safetensors"
                torch.save(load_file(weights), folder / "diffusion_pytorch_model.bin")
                weights.unlink()
            config = model(f"model.vae={folder}")
            decoder = load_decoder(config, 4, CPU)
            assert decoder is not None and not hasattr(decoder.vae, "encoder")
            torch.testing.assert_close(next(iter(decoder(latents(2)))), images, rtol=1e-5, atol=1e-5)
            hashes.append(config.vae_sha256())
    assert hashes[0] != hashes[1] and all(len(value) == 64 for value in hashes)


def test_the_hash_is_of_weights_and_configuration_not_of_the_place(folder: Path, model: Any, tmp_path: Path) -> None:
    first = model(f"model.vae={folder}").vae_sha256()
    copied = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert model(f"model.vae={copied}").vae_sha256() == first
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    (other / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | {"norm_num_groups": 2}))
    assert model(f"model.vae={other}").vae_sha256() != first


def test_random_is_its_seed_and_follows_random_weights(model: Any) -> None:
    assert model("model.vae=random:7").vae_sha256() == "random:7"
    assert model("model.weights=random:4").vae_sha256() == "random:4"  # whatever model.vae names
    assert model("model.weights=random:4", "model.vae=none").vae_sha256() == "none"
    first, again, other = (random_vae(seed).state_dict() for seed in (1, 1, 2))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]) and not torch.equal(tensor, other[name])


def test_a_repository_is_found_in_the_hubs_cache(
    folder: Path, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "cache" / "models--stabilityai--sd-vae-ft-ema"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    shutil.copytree(folder, place / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert model().vae_sha256() == model(f"model.vae={folder}").vae_sha256()


def said_of(make: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        make()
    return str(caught.value)


def test_what_is_missing_or_does_not_fit_is_named(
    folder: Path, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    said = said_of(model().vae_sha256)
    assert "model.vae = stabilityai/sd-vae-ft-ema: no file config.json in the cache of the hub" in said
    assert "hf download stabilityai/sd-vae-ft-ema" in said and "random" in said
    said = said_of(model(f"model.vae={tmp_path}/nowhere").vae_sha256)
    assert f"nowhere: no file config.json in {tmp_path}/nowhere" in said and "model.vae=FOLDER" in said

    none = model("model.vae=none")
    assert "latents of 4 channels" in said_of(lambda: load_decoder(none, 4, CPU)) and load_decoder(none, 3, CPU) is None
    assert load_decoder(WeakConfig.of(model("model.weights=random"), "random:1", {}), 4, CPU) is None  # never decoded
    assert "decodes 4 channels, and sit_xl has 16" in said_of(lambda: load_decoder(model(f"model.vae={folder}"), 16, CPU))

    weights = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    lost = next(name for name in state if name.startswith("decoder"))
    save_file({name: tensor for name, tensor in state.items() if name != lost}, weights)
    said = said_of(lambda: load_decoder(model(f"model.vae={folder}"), 4, CPU))
    assert "do not fit" in said and lost in said
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert f"{weights.name} is a git-lfs pointer" in said_of(lambda: load_decoder(model(f"model.vae={folder}"), 4, CPU))
    weights.write_bytes(b"nothing")
    assert "no AutoencoderKL" in said_of(lambda: load_decoder(model(f"model.vae={folder}"), 4, CPU))
    weights.unlink()
    assert f"no file {weights.name} in {folder}" in said_of(model(f"model.vae={folder}").vae_sha256)


def test_a_decoder_of_another_scale_is_refused(folder: Path, model: Any) -> None:
    """SDXL's has four channels too, and would decode in silence."""
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"scaling_factor": 0.13025}))
    with pytest.raises(UserError, match=r"model\.vae = .*0\.13025 times(.|\n)*sd-vae-ft-ema"):
        load_decoder(model(f"model.vae={folder}"), 4, torch.device("cpu"))
    del about["scaling_factor"]  # as sd-vae-ft-ema's own: diffusers takes the usual one
    (folder / "config.json").write_text(json.dumps(about))
    assert load_decoder(model(f"model.vae={folder}"), 4, torch.device("cpu")) is not None

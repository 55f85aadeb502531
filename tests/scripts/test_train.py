"""The training script: it goes on where it stopped, on the batches a straight run would have seen."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from cifar_folder import write_cifar
from omegaconf import OmegaConf
from train import Settings, main, train
from training_recipes import source_of
from training_sources import Pictures, images_and_labels

from s2g.config.schema import config_dir
from s2g.models.sit import SiT
from s2g.worlds.shapes.world import EASY, FULL, TRAIN_SEED

NETWORK = OmegaConf.load(config_dir() / "model" / "digits_sit.yaml").network


@pytest.mark.slow("trains")
def test_training_goes_on_from_its_stored_state(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["model=tiny_sit", "batch=4", "threads=1", f"out={tmp_path}"]
    assert main([*arguments, "steps=2"]) == 0
    half = torch.load(tmp_path / "tiny_sit" / "state.pt", weights_only=True)
    assert main([*arguments, "steps=4"]) == 0
    whole = torch.load(tmp_path / "tiny_sit" / "state.pt", weights_only=True)
    assert (half["step"], whole["step"]) == (2, 4) and "going on from step 2 of 4" in capfd.readouterr().out
    name = "blocks.0.mlp.fc1.weight"
    assert not torch.equal(half["model"][name], whole["model"][name])
    rows = list(csv.DictReader((tmp_path / "tiny_sit" / "loss.csv").open()))
    assert [row["step"] for row in rows] == ["2", "4"] and float(rows[1]["loss"]) < 2


@pytest.mark.slow("trains")
def test_a_stored_state_and_the_same_step_give_the_same_network(tmp_path: Path) -> None:
    for place in ("one", "two"):
        train(Settings(steps=3, batch=4, threads=1, out=str(tmp_path / place)))
    one, two = (torch.load(tmp_path / p / "tiny_sit" / "state.pt", weights_only=True)["ema"] for p in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_batches_belong_to_their_place_in_the_stream() -> None:
    whole, part = images_and_labels(TRAIN_SEED, 8, 4, "cpu", FULL), images_and_labels(TRAIN_SEED, 10, 2, "cpu", FULL)
    assert torch.equal(whole[0][2:], part[0]) and torch.equal(whole[1][2:], part[1])
    assert not torch.equal(images_and_labels(TRAIN_SEED, 10, 2, "cpu", EASY)[0], part[0])


def test_an_unfinished_network_is_not_exported(tmp_path: Path) -> None:
    train(Settings(steps=1, batch=4, threads=1, out=str(tmp_path)))
    with pytest.raises(SystemExit, match="has 1 steps"):
        main(["export", "model=tiny_sit", f"out={tmp_path}"])


def test_unknown_keys_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["stpes=3"]) == 2
    assert "stpes=3" in capfd.readouterr().err


@pytest.mark.slow("trains")
def test_real_images_are_learned_from_with_the_same_loop(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for model, steps in (("digits_probe", 40), ("digits_sit", 2)):
        assert main([f"model={model}", "batch=16", "threads=1", f"out={tmp_path}", f"steps={steps}"]) == 0
        state = torch.load(tmp_path / model / "state.pt", weights_only=True)
        assert state["step"] == steps
    assert set(state["ema"]) == set(SiT(**NETWORK).state_dict()) and (state["ema"]["pos_embed"].shape) == (1, 16, 48)
    said = capfd.readouterr().out
    right = int(said.partition("held out: ")[2].partition(" of 355")[0])
    assert right > 100  # of 355, 36 by chance


def test_held_out_digits_are_never_learned_from() -> None:
    source = source_of("digits_sit", "cpu", "")
    assert isinstance(source, Pictures)
    seen, kept = ({picture.tobytes() for picture in images.pixels} for images in (source.seen, source.kept))
    assert (len(source.seen), len(source.kept)) == (286, 70) and not seen & kept
    assert source.held_out()[0].shape == (70, 1, 8, 8) and source.batch(3, 5)[1].max() <= 1


@pytest.mark.slow("trains")
def test_cifar_is_learned_from_where_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    typed = ["model=cifar_sit", "batch=2", "threads=1", "steps=1", f"out={tmp_path / 'out'}"]
    assert main([*typed, f"data={tmp_path / 'data'}"]) == 2
    said = capfd.readouterr().err
    assert f"data = {tmp_path / 'data'}: no file" in said and "download=true" in said
    assert not (tmp_path / "out").exists()
    write_cifar(tmp_path / "data", monkeypatch)
    assert main([*typed, f"data={tmp_path / 'data'}"]) == 0
    assert main(["export", *typed]) == 0  # what does not ship stays where it was made
    assert (tmp_path / "out" / "cifar_sit" / "cifar_sit.safetensors").stat().st_size > 2 * 30e6

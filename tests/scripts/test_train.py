"""The training script: it goes on where it stopped, on the batches a straight run would have seen."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from cifar_folder import write_cifar
from omegaconf import OmegaConf
from safetensors.torch import load_file
from train import Settings, Training, learning_rate, main, train
from training_recipes import RECIPES, source_of
from training_sources import Pictures, images_and_labels

from s2g.config.schema import config_dir
from s2g.models.sit import SiT
from s2g.worlds.fashion.data import DEBIAN
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
def test_a_resumed_run_ends_at_the_bytes_of_a_straight_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.STORED", 6)
    monkeypatch.setattr("train.LOGGED", 2)
    arguments = ["model=digits_sit", "batch=8", "threads=1", "steps=10"]
    assert main([*arguments, f"out={tmp_path / 'straight'}"]) == 0
    store = Training.store

    def stop(training: Training, folder: Path) -> None:
        store(training, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Training, "store", stop)
        with pytest.raises(KeyboardInterrupt):
            main([*arguments, f"out={tmp_path / 'stopped'}"])
    assert main([*arguments, f"out={tmp_path / 'stopped'}"]) == 0
    one, two = (tmp_path / name / "digits_sit" for name in ("straight", "stopped"))
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (one, two)]
    assert same(*({**state, "seconds": 0.0} for state in states))
    curves = [[row["loss"] for row in csv.DictReader((folder / "loss.csv").open())] for folder in (one, two)]
    assert curves[0] == curves[1] and len(curves[0]) == 5


def same(one: Any, other: Any) -> bool:
    """Return whether two states are equal, tensors to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.slow("trains")
def test_a_budget_of_seconds_ends_training_by_the_clock(tmp_path: Path) -> None:
    assert main(["model=digits_sit", "batch=8", "threads=1", "seconds=2", f"out={tmp_path}"]) == 0
    state = torch.load(tmp_path / "digits_sit" / "state.pt", weights_only=True)
    rows = list(csv.DictReader((tmp_path / "digits_sit" / "loss.csv").open()))
    assert state["seconds"] >= 2 and 0 < state["step"] < RECIPES["digits_sit"].steps == 2000
    assert rows[-1]["step"] == str(state["step"])
    recipe = RECIPES["digits_sit"]
    assert [learning_rate(recipe, *at) for at in ((0, 0.0), (99, 0.0), (500, 0.25), (500, 1.0))] == [2e-5, 2e-3, 1.5e-3, 0.0]


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
@pytest.mark.slow("trains")
def test_200_steps_on_photographs_learn(tmp_path: Path) -> None:
    assert main(["model=fashion_sit_small", "batch=16", "steps=200", "threads=1", f"out={tmp_path}", f"data={DEBIAN}"]) == 0
    rows = list(csv.DictReader((tmp_path / "fashion_sit_small" / "loss.csv").open()))
    assert [row["step"] for row in rows] == ["50", "100", "150", "200"]
    assert float(rows[0]["loss"]) > 1.2 > 0.7 > float(rows[-1]["loss"]) and float(rows[-1]["held_out_loss"]) < 0.8


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


def test_a_toys_weights_go_where_they_are_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["model=toy_2d", "width=16", "depth=2", "seed=3", "batch=16", "threads=1", f"out={tmp_path}"]
    assert main([*arguments, "steps=16"]) == 0
    name = "square-each-std0.5-16x2-3"
    assert {path.name for path in (tmp_path / "toy").iterdir()} == {name, f"{name}.safetensors", f"{name}_early.safetensors"}
    late, early = (load_file(tmp_path / "toy" / f"{name}{end}.safetensors") for end in ("", "_early"))
    assert late.keys() == early.keys() and not torch.equal(late["head.weight"], early["head.weight"])
    assert main(["model=tiny_sit", "width=16"]) == 2 and "width: fixed in model=tiny_sit" in capfd.readouterr().err


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_a_network_of_another_size_stays_where_it_was_trained(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["model=fashion_sit_small", "depth=2", "width=16", "batch=4", "threads=1", "steps=1", f"out={tmp_path}"]
    assert main([*arguments, f"data={DEBIAN}"]) == 0 and main(["export", *arguments]) == 0
    weights = tmp_path / "fashion_sit_small-depth2-width16" / "fashion_sit_small-depth2-width16.safetensors"
    state = load_file(weights)
    assert state["blocks.1.mlp.fc1.weight"].shape == (64, 16) and "blocks.2.mlp.fc1.weight" not in state
    assert main([*arguments, "seed=1"]) == 2 and "seed: fixed in model=fashion_sit_small" in capfd.readouterr().err


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

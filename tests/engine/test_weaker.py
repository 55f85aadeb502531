"""A second, weaker network: its own file and size, in the key by its hash, and made again from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from s2g.cli.run import main
from s2g.config.schema import BUILTIN
from s2g.engine.resolve import restore
from s2g.engine.run import Run
from s2g.engine.worker import load
from s2g.models.sit import SiT, initialise
from s2g.store.env_file import environments
from s2g.store.store import Store

SMALL = "guidance.weak_network={depth: 3, width: 48}"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Weights of a network of 3 blocks."""
    torch.manual_seed(0)
    network = SiT(size=32, patch=4, channels=3, width=48, depth=3, heads=4, num_classes=108, learn_sigma=False)
    initialise(network)
    save_file(network.state_dict(), tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_the_hash_is_in_the_key_and_the_place_is_not(run_of: Callable[..., Run], small: Path, tmp_path: Path) -> None:
    builtin = run_of("guidance=autoguidance")
    copied = tmp_path / "copy.safetensors"
    copied.write_bytes((BUILTIN / "tiny_sit_weak.safetensors").read_bytes())
    assert run_of("guidance=autoguidance", f"guidance.weak={copied}").key == builtin.key
    other = run_of("guidance=autoguidance", f"guidance.weak={small}", SMALL)
    assert other.key != builtin.key and other.weak is not None and str(small) not in str(other.identity())
    assert run_of("guidance=autoguidance", "guidance.scale=1").weak is None  # then it is not asked
    assert len(load(other.weak, "cpu")[0].blocks) == 3


@pytest.mark.parametrize("typed", ["guidance=autoguidance", "guidance=s2"])
def test_a_run_with_a_weaker_network_is_made_stored_and_restored(
    typed: str, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    knobs = ["guidance.weak=small.safetensors", SMALL]
    if typed == "guidance=s2":
        knobs = [
            "guidance.base=autoguidance",
            "guidance.base_args={weak: small.safetensors, weak_network: {depth: 3, width: 48}}",
        ]
    assert main([typed, *knobs, "sampler.steps=2", "num=16", "executor.workers=1", "runs=runs"]) == 0, capfd.readouterr().err
    assert "effective guidance scale: none" in capfd.readouterr().out
    (folder,) = (tmp_path / "runs").iterdir()
    store = Store(folder)
    (record,) = store.records([0])
    assert record["evaluations"] == (4 if typed == "guidance=autoguidance" else 5)
    (surroundings,) = environments(store).values()
    assert surroundings["weak_weights"]["file"] == "small.safetensors"
    monkeypatch.chdir("/")
    assert restore(store.read_run()["config"], 16).key == folder.name


def test_weights_that_do_not_fit_are_named_by_what_was_typed(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quick = ["guidance=autoguidance", "sampler.steps=2", "num=16", "executor.workers=1", f"runs={tmp_path}"]
    assert main([*quick, f"guidance.weak={small}"]) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: guidance.weak = ") and "guidance.weak_network" in said and "Traceback" not in said
    assert main([*quick, f"guidance.weak={small}", "guidance.weak_network={dpeth: 3}"]) == 2
    assert "Did you mean 'depth'?" in capfd.readouterr().err

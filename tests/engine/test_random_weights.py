"""Random weights: the same for a seed, alive in every block, marked wherever their run is looked at, and in no table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine.plain_bench  # noqa: F401 (bench=plain)
import numpy as np
import pytest
import torch
from inception_weights import write_inception
from PIL import Image
from rich.console import Console

from s2g.cli.commands.inventory import show
from s2g.cli.commands.table import TableMaker
from s2g.cli.run import main, show_result
from s2g.config.registry import MODELS
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.resolve import resolve, restore
from s2g.engine.run import RANDOM, Run
from s2g.errors import UserError
from s2g.models.shared.random_weights import DECODER, random_state
from s2g.models.shared.vae import random_vae
from s2g.models.sit import made, position_table
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.scoring.score import score
from s2g.store.env_file import environments
from s2g.store.store import Store

SIZES = {"size": 8, "patch": 2, "channels": 4, "width": 32, "depth": 6, "heads": 2, "num_classes": 10, "learn_sigma": True}
TABLE = """title: a table
source: none
columns: {fd: {bench: shapes, metric: fd}}
against: cfg
rows: {cfg: {label: CFG, set: {guidance: METHOD}}}
profiles:
  tiny:
    set: {num: 16, sampler.steps: 2, MORE}
    groups: {one: {label: tiny_sit, set: {model: tiny_sit}}}
"""


@pytest.fixture
def small(composed: Callable[..., dict]) -> Callable[..., Run]:
    """small("sit_xl", "guidance=cfg"): that model, small, with random weights, on a bench of nothing."""

    def make(name: str, *typed: str, **model: Any) -> Run:
        raw = composed(f"model={name}", "model.weights=random", "model.blocks=6", "model.unit=2", "sampler.steps=2", *typed)
        raw |= {"num": 2, "bench": {"name": "plain"}}
        raw["model"] |= {"network": SIZES, **model}
        return resolve(raw)[0]

    return make


def test_tensors_are_streams_of_their_own_and_of_steady_size() -> None:
    network = made(SIZES)
    first, again, other = (random_state(network, seed) for seed in (0, 0, 1))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]) and not torch.equal(tensor, other[name])
    assert first["blocks.0.attn.qkv.weight"].std() == pytest.approx(32**-0.5, rel=0.05)
    assert first["blocks.0.attn.qkv.bias"].std() == pytest.approx(0.02, rel=0.3)
    assert not torch.equal(first["blocks.0.mlp.fc1.weight"], first["blocks.1.mlp.fc1.weight"])
    assert not torch.equal(first["pos_embed"], random_state(network, 0, DECODER)["pos_embed"])


@pytest.mark.parametrize("name", ["sit_xl", "dit_xl"])
def test_every_block_and_the_class_show_in_what_is_predicted(name: str, small: Callable[..., Run]) -> None:
    """Else a run would show nothing of what a method does: at the official initialisation all gates are closed."""
    run = small(name, "guidance=cfg")
    adapter = MODELS.load(run.model.family).load(run.model, torch.device("cpu"), torch.float32)
    assert torch.equal(adapter.network.pos_embed[0], position_table(32, 4))
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    branches = [COND, UNCOND, *(Branch("cond", DropBlocks({block})) for block in range(6))]
    with Evaluator(adapter) as evaluator:
        found = evaluator(branches, x, 0.5, adapter.encode([1, 2]), torch.tensor(500)).raw
    assert 0.1 < found[COND].std() < 10
    for branch in branches[1:]:
        assert (found[branch] - found[COND]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["sit_xl", "dit_xl"])
def test_a_run_is_made_and_says_what_it_is(
    name: str, small: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = small(name, "guidance=s2")
    assert run.random and run.identity()["model"]["weights_sha256"] == run.identity()["model"]["vae_sha256"] == "random:0"
    assert run.key != small(name, "guidance=s2", "model.weights=random:1").key
    Store.of(run, tmp_path).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        execute([run], str(tmp_path), executor, True, Console(quiet=True)).check(run)
    store = Store.of(run, tmp_path)
    assert store.read_run()["random_weights"] is True
    images = store.items([0, 1])
    assert images.shape == (2, 64, 64, 3) and images.dtype == np.uint8 and images.std() > 1
    (surroundings,) = environments(store).values()
    assert surroundings["weights"] == {"file": "random:0", "sha256": "random:0"}
    show_result(Console(width=200), score(run, store), store, 2)
    assert RANDOM in capsys.readouterr().out
    show(run.key, str(tmp_path))
    shown = capsys.readouterr().out
    assert RANDOM in shown and '"random:0"' in shown
    again = restore(store.read_run()["config"], 2)
    assert again.key == run.key


def test_trained_weights_are_not_marked(run_of: Callable[..., Run], tmp_path: Path) -> None:
    run = run_of("num=16")
    Store.of(run, tmp_path).begin(run, True)
    assert not run.random and "random_weights" not in Store.of(run, tmp_path).read_run()


@pytest.mark.parametrize(
    ("method", "more"),
    [("cfg", "model.weights: random"), ("cfg", "model.weights: 'random:3'"), ("autoguidance", "guidance.weak: random")],
)
def test_no_table_takes_them(method: str, more: str, tmp_path: Path) -> None:
    (tmp_path / "table9.yaml").write_text(TABLE.replace("METHOD", method).replace("MORE", more))
    maker = TableMaker(tmp_path, tmp_path / "out", str(tmp_path / "runs"), None, 1)
    with pytest.raises(UserError, match="random weights never enter a results table"):
        maker.make("table9", "tiny", Console(quiet=True))
    assert not (tmp_path / "runs").exists()


def test_a_random_decoder_alone_is_refused_too(small: Callable[..., Run], tmp_path: Path) -> None:
    from s2g.experiments.produce import require_trained

    torch.save(random_state(made(SIZES), 0), tmp_path / "w.pt")
    run = small("sit_xl", "guidance=cfg", weights=str(tmp_path / "w.pt"), vae="random")
    assert run.identity()["model"]["weights_sha256"] != "random:0"
    with pytest.raises(UserError, match="random weights never"):
        require_trained(run)


def test_a_run_with_a_decoder_of_its_own_is_made_again_from_anywhere(
    small: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_vae(3).save_pretrained(tmp_path / "vae")
    torch.save(random_state(made(SIZES), 0), tmp_path / "w.pt")
    monkeypatch.chdir(tmp_path)
    run = small("sit_xl", "guidance=cfg", weights="w.pt", vae="vae")
    key = run.key
    assert not run.random and str(tmp_path) not in str(run.identity())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert restore(run.config, 2).key == key
    other = small("sit_xl", "guidance=cfg", weights=str(tmp_path / "w.pt"), vae="random:3")
    assert other.key != key


def test_families_that_draw_no_weights_say_so(run_of: Callable[..., Run]) -> None:
    with pytest.raises(UserError, match=r"model.weights = random: not for model.family = toy(.|\n)*families sit, dit"):
        run_of("model=toy_1d", "bench=gmm", "model.weights=random")


@pytest.mark.slow("many processes")
def test_the_command_samples_without_inception_and_ends_at_scoring(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As typed, but for the network's size: images are kept and marked, exit code 2, nothing is made twice, and then scored."""
    monkeypatch.chdir(tmp_path)
    network = ", ".join(f"{name}: {value}" for name, value in (SIZES | {"size": 32, "patch": 8, "num_classes": 1000}).items())
    typed = ["model=sit_xl", "model.weights=random", "bench=imagenet", "num=2", "sampler.steps=2", "executor.workers=1"]
    typed += [f"model.network={{{network}}}", "model.blocks=6"]
    for count in (2, 0):
        assert main(typed) == 2
        said = capfd.readouterr()
        assert f"{count} items made now, 2 kept, none scored: runs/sit_xl-s2-" in said.out and RANDOM in said.out
        assert said.err.startswith("error: 2 things are missing or wrong") and said.err.count("curl -LO") == 2  # in one message
        assert "bench.inception = weights-inception" in said.err and "bench.reference = VIRTUAL" in said.err
    (folder,) = (tmp_path / "runs").iterdir()
    assert Store(folder).read_run()["random_weights"] is True
    assert [path.name for path in sorted((folder / "items").iterdir())] == ["000000.png", "000001.png"]
    write_inception(tmp_path / "inception.pth")
    (tmp_path / "real").mkdir()
    for seed in range(2):
        noise = np.random.default_rng(seed).integers(0, 256, (256, 256, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "real" / f"{seed}.png")
    assert main([*typed, "bench.inception=inception.pth", "bench.reference=real", "bench.score=[is]"]) == 0
    said = capfd.readouterr()
    assert "0 items made now, 2 scored" in said.out and RANDOM in said.out and not said.err

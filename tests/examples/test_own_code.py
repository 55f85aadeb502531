"""A method, a model and a benchmark of one's own, a file each: the examples in the command line, and what is refused."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.config_store import ConfigStore

from s2g.cli.run import main
from s2g.config.compose import compose_config
from s2g.config.own_modules import import_own_modules
from s2g.config.plugins import add_bench, add_model
from s2g.config.registry import BENCHES, GUIDANCE, MODELS
from s2g.config.schema import CHECKOUT, model_names
from s2g.config.typed import overrides_of
from s2g.engine.bench import MeasuredBench
from s2g.engine.cost import full_pass
from s2g.engine.resolve import outline, resolve
from s2g.errors import UserError
from s2g.models.sit import SiTDenoiser

EXAMPLES = CHECKOUT / "examples"
REGISTRIES = {"guidance": GUIDANCE, "model": MODELS, "bench": BENCHES}
SIZES = {"size": 8, "patch": 4, "channels": 3, "width": 16, "depth": 4, "heads": 2, "num_classes": 5, "learn_sigma": False}
SETTINGS: dict[str, Any] = {
    "weights": "random:0", "blocks": 4, "resolution": 8, "network": SIZES, "sampler": {"name": "euler", "steps": 4},
}  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a test registers is forgotten after it, by S2G, Hydra and Python."""
    repo = ConfigStore.instance().repo
    known = {group: dict(registry.entries) for group, registry in REGISTRIES.items()}
    stored, modules = {group: dict(repo.get(group, {})) for group in REGISTRIES}, set(sys.modules)
    yield
    MODELS.own.clear()
    for group, registry in REGISTRIES.items():
        registry.entries.clear()
        registry.entries.update(known[group])
        repo[group] = stored[group]
    for name in [name for name in set(sys.modules) - modules if name.startswith("own_")]:
        del sys.modules[name]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def command(name: str, *arguments: str, runs: Path) -> int:
    """`s2g run --with examples/NAME.py ARGUMENTS`, in this process."""
    return main(["--with", str(EXAMPLES / f"{name}.py"), *arguments, f"runs={runs}", "executor.workers=1"])


def records(runs: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(runs.glob("*/units/*.json"))]


MODEL = ("model=mine", "bench=prompts", "guidance=s2", "num=4", "model.unit=2", "sampler.steps=2")


def test_an_own_model_is_planned_and_sampled(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("own_model", *MODEL, "plan=true", runs=runs) == 0
    said = capsys.readouterr().out
    assert "4 items to make: 20 network calls, FLOPs not counted (AttributeError:" in said and not runs.exists()
    assert command("own_model", *MODEL, runs=runs) == 0
    assert "per item: 5 network evaluations, FLOPs not counted" in capsys.readouterr().out
    made = records(runs)
    assert len(made) == 2 and all(record["flops"] is None and record["evaluations"] == 5 for record in made)
    (run,) = runs.glob("*/run.json")
    identity = json.loads(run.read_text())["identity"]
    assert set(identity["code"]) == {"own_model.py"} and identity["model"]["weights_sha256"] == "random:0"
    assert command("own_model", *MODEL, runs=runs) == 0
    assert "0 items made now" in capsys.readouterr().out


@pytest.mark.slow("starts processes")
def test_worker_processes_know_an_own_model(tmp_path: Path) -> None:
    model = str(EXAMPLES / "own_model.py")
    starts = [[str(CHECKOUT / "run.py"), "--with", model], [model]]
    arguments = [*MODEL, f"runs={tmp_path / 'runs'}", "executor.workers=2"]
    said = []
    for start in starts:
        done = subprocess.run([sys.executable, *start, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        said.append(done.stdout)
    # What counts is the file, not the name under which it was imported: the second is the same run.
    assert "4 items made now" in said[0] and "0 items made now" in said[1]


def test_a_configuration_takes_its_family_along_to_a_process_that_does_not_know_it() -> None:
    import_own_modules(["--with", str(EXAMPLES / "own_model.py")])
    run = resolve(compose_config(*MODEL))[0]
    content = pickle.dumps(run.model)
    family = MODELS.entries.pop("mine")
    with pytest.raises(UserError, match="mine"):
        MODELS.load("mine")
    assert pickle.loads(content) == run.model
    assert MODELS.entries["mine"] == family and MODELS.load("mine") is sys.modules["own_model"].Mine
    assert replace(run.model, unit=3).unit == 3 and b"own family" not in pickle.dumps(resolve(compose_config())[0].model)


def test_benches_of_texts_take_an_own_model_that_reads_texts() -> None:
    import_own_modules(["--with", str(EXAMPLES / "own_model.py")])
    assert "mine" in model_names(lambda family: family.reads_any_text and not family.makes_videos)
    bench = BENCHES.load("prompts")(text=("a cat",))
    bench.check(resolve(compose_config(*MODEL))[0].model)
    add_model("labels", Told, SETTINGS, random=True)
    with pytest.raises(UserError, match=r"labels does not read prompts[^$]*mine"):
        bench.check(outline(compose_config("model=labels")).model)


def test_what_was_typed_is_told_from_the_models_own_settings() -> None:
    import_own_modules(["--with", str(EXAMPLES / "own_model.py")])
    told = overrides_of(resolve(compose_config(*MODEL, "bench.text=a cat"))[0].config)
    assert {key: value for key, value in told.items() if key.startswith("model")} == {"model": "mine", "model.unit": 2}


class Told(SiTDenoiser):
    """An adapter that has all of them, meta_model included."""


class Deeper(SiTDenoiser):
    """Its network on the meta device has a block more than the other."""

    @staticmethod
    def meta_model(config: Any) -> Any:
        return SiTDenoiser.meta_model(replace(config, network={**config.network, "depth": 5}))


class Silent(SiTDenoiser):
    """It reads a number of its network, which is none on the meta device."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        _ = float(next(self.network.parameters()).sum())
        return super().forward(*args, **kwargs)


def test_flops_are_counted_where_the_network_runs_on_the_meta_device() -> None:
    for name, adapter in (("told", Told), ("silent", Silent), ("deeper", Deeper)):
        add_model(name, adapter, SETTINGS, random=True)
    told, silent, deeper = (outline(compose_config(f"model={name}")).model for name in ("told", "silent", "deeper"))
    known = full_pass(replace(told, family="sit"))
    assert full_pass(told) == known and known.total > 0 and not known.uncounted
    found = full_pass(silent)
    assert found.uncounted.startswith("RuntimeError: ") and np.isnan(found.total)
    with pytest.raises(UserError, match=r"model.blocks = 4: deeper has 5"):
        full_pass(deeper)


def refused(problem: str, *more: Any, adapter: type = Told, **facts: Any) -> None:
    with pytest.raises(UserError, match=problem):
        add_model(*(more or ("mine", adapter, SETTINGS)), **facts)
    assert "mine" not in MODELS.entries and "mine" not in MODELS.own


def test_what_add_model_refuses() -> None:
    class Half:
        def forward(self) -> None: ...

    refused("a model sit exists already", "sit", Told, SETTINGS)
    refused("a model tiny_sit exists already", "tiny_sit", Told, SETTINGS)
    refused("Half has no load, encode, decode", adapter=Half)
    refused("reads_texts", reads_texts=True)
    refused("model.weights = random:0: not for model.family = mine")  # random=True is not among the facts
    refused("model.blocks: missing", "mine", Told, {k: v for k, v in SETTINGS.items() if k != "blocks"}, random=True)
    refused("model.deepth", "mine", Told, {**SETTINGS, "deepth": 4}, random=True)


def test_an_own_benchmark_has_a_known_answer(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("model=tiny_sd3", "bench=colours", "guidance=cfg", "num=4", "model.unit=4", "sampler.steps=6")
    assert command("own_benchmark", *arguments, runs=runs) == 0
    assert "right colour %" in capsys.readouterr().out
    red, blue = np.zeros((2, 1, 2, 2, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    measure = sys.modules["own_benchmark"].Colours().measure
    assert measure(np.concatenate([red, blue, blue]), [0, 1, 2])["right"].tolist() == [True, True, False]
    (scores,) = runs.glob("*/scores/*.json")
    assert json.loads(scores.read_text())["values"]["right"]["value"] == 100.0
    assert command("own_benchmark", "model=tiny_sit", "bench=colours", runs=runs) == 2  # it reads no words


def test_what_add_bench_refuses() -> None:
    @dataclass(frozen=True)
    class Empty(MeasuredBench):
        num: int = 4

    @dataclass
    class Open(MeasuredBench):
        num: int = 4

    for name, bench, problem in (
        ("shapes", Empty, "a bench shapes exists already"),
        ("mine", Open, "not a frozen dataclass"),
        ("mine", Empty, "Empty has no caption, check, items_id, measure, metrics, prompts, version"),
    ):
        with pytest.raises(UserError, match=problem):
            add_bench(name, bench)


def test_an_own_method_is_a_method(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ("guidance=fading", "guidance.scale=3", "num=4", "model.unit=4", "sampler.steps=2", "score=false")
    assert command("own_method", *typed, runs=runs) == 0
    # Two steps, at level 1 (the whole scale, 3) and 1/2 (half of what is above 1, 2).
    (record,) = records(runs)
    assert record["effective_scale"]["mean"] == pytest.approx(2.5, abs=0.01)

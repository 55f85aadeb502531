"""Text to image through the command: without weights one message, with a small pipeline images that are kept and resumed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from s2g.cli.run import main
from s2g.config.schema import CHECKOUT
from s2g.engine import worker
from s2g.engine.resolve import outline, resolve
from s2g.errors import UserError
from tests.offline_pipelines import SIDE, flux_pipeline, sd3_pipeline

REPOSITORY = "stabilityai/stable-diffusion-3.5-medium"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipelines")
    sd3_pipeline(folder / "tokenizers" / "sd35").save_pretrained(folder / "sd35")
    flux_pipeline(folder / "tokenizers" / "flux").save_pretrained(folder / "flux")
    return folder


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and a worker that has loaded nothing."""
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    _forget()


def _forget() -> None:
    worker._load.cache_clear()
    worker._precompute_text.cache_clear()


def typed(model: str, folder: Path, tmp_path: Path, *more: str) -> list[str]:
    blocks = {"sd35": 6, "flux": 8}[model]
    small = [f"model.blocks={blocks}", f"model.resolution={SIDE}", "model.unit=2", "sampler.steps=3", "executor.workers=1"]
    return [f"model={model}", f"model.weights={folder}", "bench=prompts", f"runs={tmp_path}/runs", *small, *more]


def run_py(environment: dict[str, str], *typed: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, **environment, "PYTHONPATH": str(CHECKOUT)}
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        known.pop(name, None)
    known |= environment
    command = [sys.executable, str(CHECKOUT / "run.py"), *typed]
    return subprocess.run(command, capture_output=True, text=True, env=known, timeout=120)


class Gated(BaseHTTPRequestHandler):
    """A hub that knows the repository and gives nothing of it."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("X-Error-Message", "Access to model is restricted.")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *about: Any) -> None:
        return


@pytest.fixture
def gated_hub() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Gated)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.slow("starts the hub client")
@pytest.mark.parametrize("how", ["unreachable", "offline", "gated"])
def test_without_weights_there_is_one_message(how: str, tmp_path: Path, gated_hub: str) -> None:
    endpoint = {"unreachable": "http://127.0.0.1:9", "gated": gated_hub}.get(how, "https://huggingface.co")
    environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": endpoint} | ({"HF_HUB_OFFLINE": "1"} if how == "offline" else {})
    ended = run_py(environment, "model=sd35", "guidance=s2", "bench=prompts", f"runs={tmp_path}/runs")
    assert ended.returncode == 2 and ended.stdout == ""
    said = ended.stderr.splitlines()
    assert len(said) == 3 and said[0].startswith(f"error: model.weights = {REPOSITORY}: no file of it in the hub's cache, and ")
    why = {"unreachable": "cannot be reached", "offline": "HF_HUB_OFFLINE=1", "gated": "its licence must be accepted"}
    assert why[how] in said[0] and "(gated; with all it needs 15.9 GB)" in said[0]
    assert "model.weights=FOLDER" in said[1]
    assert f"accept its licence at https://huggingface.co/{REPOSITORY}, then hf auth login" in said[2]
    assert not (tmp_path / "runs").exists()


def test_a_plan_fetches_nothing(monkeypatch: pytest.MonkeyPatch, composed: Callable[..., dict], tmp_path: Path) -> None:
    monkeypatch.setattr("s2g.io.hub.fetch", lambda *about: pytest.fail("fetched"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="nothing is fetched now"):
        resolve(composed("model=sd35", "bench=prompts"))


def test_what_the_hub_has_is_fetched_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, saved: Path, composed: Callable[..., dict], tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    asked: list[Any] = []

    def fetch(repository: str, patterns: tuple[str, ...], variant: str) -> Path:
        asked.append((repository, patterns))
        return _in_cache(tmp_path / "hub", saved / "sd35")

    monkeypatch.setattr("s2g.io.hub.fetch", fetch)
    raw = composed("model=sd35", "model.blocks=6", "bench=prompts")
    run = resolve(raw, fetching=True)[0]
    ((repository, patterns),) = asked
    assert repository == REPOSITORY
    assert {"model_index.json", "transformer/*", "vae/*", "text_encoder_3/*", "tokenizer_3/*"} <= set(patterns)
    assert "*" not in patterns  # the same weights lie at its root in one file
    assert set(run.model.pipeline().revisions().values()) == {COMMIT}
    assert resolve(raw, fetching=True)[0].key == run.key and len(asked) == 1  # it is there now
    assert run.config["model"]["weights"] == REPOSITORY


def test_a_snapshot_that_lacks_files_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, saved: Path, composed: Callable[..., dict], tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = _in_cache(tmp_path / "hub", saved / "sd35")
    shutil.rmtree(snapshot / "text_encoder_3")
    asked: list[str] = []

    def fetch(repository: str, *about: Any) -> Path:
        asked.append(repository)
        return _in_cache(tmp_path / "hub", saved / "sd35")

    monkeypatch.setattr("s2g.io.hub.fetch", fetch)
    resolve(composed("model=sd35", "model.blocks=6", "bench=prompts"), fetching=True)
    assert asked == [REPOSITORY]


def _in_cache(cache: Path, folder: Path) -> Path:
    place = cache / f"models--{REPOSITORY.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(folder, place / "snapshots" / COMMIT, dirs_exist_ok=True))


@pytest.mark.slow("whole runs of three families")
@pytest.mark.parametrize("model", ["sd35", "flux"])
def test_a_run_is_made_kept_and_resumed_and_opens_encoders_once(
    model: str, saved: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2g.models.shared import pipeline_text

    opened: list[str] = []
    stock = pipeline_text.load_text
    monkeypatch.setattr(pipeline_text, "load_text", lambda *about: opened.append("text") or stock(*about))
    long = "a very long prompt " * 105
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(["a cat ☃", "猫が月の上に座っている", long, "a dog"]))
    command = typed(model, saved / model, tmp_path, f"bench.path={prompts}", "guidance=s2", "num=2")

    assert main(command) == 0
    first = capfd.readouterr()
    assert "2 items made now" in first.out and first.err == "" and opened == ["text"]
    (folder,) = (tmp_path / "runs").iterdir()
    images = {path.name: path.read_bytes() for path in (folder / "items").iterdir()}
    assert sorted(images) == ["000000.png", "000001.png"]
    with Image.open(folder / "items" / "000000.png") as image:
        assert image.size == (SIDE, SIDE)

    _forget()
    assert main([*command, "num=4"]) == 0  # goes on, and only the new prompts are encoded
    second = capfd.readouterr()
    assert "2 items made now" in second.out and len(opened) == 2
    assert second.err.count(" truncated: ") == 1 and "tokenizer reads 77 of" in second.err and "Traceback" not in second.err
    assert {name: (folder / "items" / name).read_bytes() for name in images} == images

    _forget()
    shutil.rmtree(folder)
    assert main([*command, "num=4"]) == 0  # everything is in the cache
    assert len(opened) == 2
    assert {name: (folder / "items" / name).read_bytes() for name in images} == images
    again = capfd.readouterr()
    assert "4 items made now" in again.out and again.err.count(" truncated: ") == 1
    (surroundings,) = json.loads((folder / "env.json").read_text()).values()
    assert surroundings["weights"].keys() >= {"file", "sha256", "transformer", "vae", "text_encoder"}

    _forget()
    assert main([*command, "num=4"]) == 0
    assert "0 items made now" in capfd.readouterr().out


def test_stated_blocks_are_held_against_the_folder(saved: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(typed("sd35", saved / "sd35", tmp_path, "model.blocks=24")) == 2
    said = capfd.readouterr().err
    assert "its transformer has 6 blocks, and model.blocks = 24" in said and "Traceback" not in said
    assert main(typed("sd35", saved / "flux", tmp_path)) == 2
    assert "holds a FluxPipeline" in capfd.readouterr().err


def test_random_weights_are_a_run_too(composed: Callable[..., dict], tmp_path: Path) -> None:
    run = resolve(composed("model=flux", "model.weights=random", "bench=prompts"))[0]
    assert run.random and run.identity()["model"]["weights_sha256"] == "random:0"


def test_memory_is_no_part_of_the_key_and_tiling_is(composed: Callable[..., dict]) -> None:
    def key(*typed: str) -> str:
        return resolve(composed("model=sd35", "model.weights=random", "bench=prompts", *typed))[0].key

    assert key() == key("model.memory=offload") != key("model.vae_tiling=true")
    with pytest.raises(UserError, match=r"model.memory = disk(.|\n)*resident, offload"):
        outline(composed("model=sd35", "bench=prompts", "model.memory=disk"))

"""logger=wandb, for real and offline: what is written is read back from wandb's own file."""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films_made import filmed
from PIL import Image

from s2g.config.schema import CHECKOUT
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.results import Results
from s2g.experiments.specification_file import find_experiment
from s2g.integrations.wandb.run_log import WandbConfig, log_run, read_logger
from s2g.metrics.statistics import Estimate
from s2g.scoring.score import Cost, Effective, Score
from s2g.store.video import decoded
from s2g.worlds.shapes.video_prompts import prompt_kinds


@dataclass(frozen=True)
class Shelf:
    """Stands where a run's store does: nothing needs to be sampled to be logged."""

    def items(self, items: range) -> np.ndarray:
        return np.stack([np.full((32, 32, 3), 20 * item, np.uint8) for item in items])


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no home, no terminal to ask at: a prompt would fail."""
    made_on = {"a": {"machine": "2 x a processor", "packages": {"torch": "2.99"}}}
    monkeypatch.setattr("s2g.integrations.wandb.run_log.environments", lambda store: made_on)
    for name in ("API_KEY", "IDENTITY_TOKEN_FILE", "MODE", "BASE_URL", "DIR"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    (tmp_path / "home").mkdir()
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.chdir(tmp_path)


def score_of(run: Run) -> Score:
    """Made-up estimates, the last without an interval."""
    metrics = [metric.name for metric in run.bench.metrics]
    estimates = {name: Estimate(10.0 + at, 9.0 + at, 12.0 + at, 4, "made up") for at, name in enumerate(metrics)}
    estimates[metrics[-1]] = Estimate(3.5, None, None, 1)
    return Score(run, estimates, {}, Cost(79.0, 1.5e9, 0.25, 2**20, 0.125), Effective(Estimate(2.5, 2.4, 2.6, 4), 28, 0))


def records(file: Path) -> Iterator[Any]:
    """The records of a .wandb file: protocol buffers in a LevelDB log of blocks of 32 KiB, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # a block's end that holds no head
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(whole)
            whole = b""


def written(folder: Path) -> list[Any]:
    """All records of a run that was finished: wandb's own process, shared by the tests here, writes them in its own time."""
    from google.protobuf.message import DecodeError

    found: list[Any] = []
    for _ in range(100):
        with contextlib.suppress(DecodeError):
            found = [record for file in folder.glob("*.wandb") for record in records(file)]
            if any(record.HasField("exit") or record.HasField("final") for record in found):
                break
        time.sleep(0.1)
    return found


@pytest.mark.slow("starts wandb")
def test_a_run_is_logged_offline_and_read_back(
    run_of: Callable[..., Run], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_of("guidance=s2", "num=64")
    said = []
    for _ in range(2):
        said.append(log_run(WandbConfig(project="a-project"), score_of(run), Shelf()))  # type: ignore[arg-type]
        time.sleep(1.1)  # wandb names a folder by the second
    assert capfd.readouterr() == ("", "")
    folders = sorted((tmp_path / "outputs" / "wandb").glob("offline-run-*"))
    assert folders and said[-1] == f"logged offline; to upload: wandb sync {folders[-1].relative_to(tmp_path)}"
    found = written(folders[-1])
    (begun,) = (record.run for record in found if record.HasField("run"))
    assert (begun.run_id, begun.display_name, begun.project) == (run.key, run.key, "a-project")

    config = {u.key: json.loads(u.value_json) for r in found if r.HasField("config") for u in r.config.update}
    assert config["guidance"] == json.loads(json.dumps(run.identity()["guidance"])) and config["num"] == 64
    assert config["made_on"] == {"machine": ["2 x a processor"], "torch": ["2.99"]}
    (history,) = (record.history for record in found if record.HasField("history"))
    logged = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in history.item}
    last = run.bench.metrics[-1].name
    assert (logged["joint"], logged["joint/low"], logged["joint/high"]) == (10.0, 9.0, 12.0)
    assert logged[last] == 3.5 and f"{last}/low" not in logged
    assert (logged["n"], logged["units"], logged["cost/evaluations"], logged["cost/outside"]) == (64, 4, 79.0, 0.125)
    summary = {"/".join(u.nested_key): u.value_json for r in found if r.HasField("summary") for u in r.summary.update}
    assert json.loads(summary["joint"]) == 10.0

    table = json.loads((folders[-1] / "files" / logged["scores/path"]).read_text())
    assert table["columns"] == ["metric", "label", "value", "low", "high", "units", "method"]
    assert [row[0] for row in table["data"]] == [metric.name for metric in run.bench.metrics]
    assert table["data"][0][2:] == [10.0, 9.0, 12.0, 4, "made up"]
    picture = Image.open(folders[-1] / "files" / logged["samples/path"])
    assert picture.width > 1000 and logged["samples/caption"] == "tiny_sit, s2: the first 12 of 64 items"


def test_disabled_logs_nothing(run_of: Callable[..., Run], tmp_path: Path) -> None:
    said = log_run(WandbConfig(mode="disabled"), score_of(run_of()), Shelf())  # type: ignore[arg-type]
    assert "nothing" in said and not (tmp_path / "outputs").exists()


def test_a_key_means_online_and_none_means_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WandbConfig().chosen == "offline"
    (tmp_path / "home" / ".netrc").write_text("default login user password other\n")
    assert WandbConfig().chosen == "offline"  # a password that is for anybody is not sent to this server
    (tmp_path / "home" / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert WandbConfig().chosen == "online" and WandbConfig(mode="offline").chosen == "offline"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert WandbConfig().chosen == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert WandbConfig().chosen == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert WandbConfig().chosen == "offline" and WandbConfig(mode="online").chosen == "online"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": "wandb", "mode": "online"}, ["logger.mode = online", "no API key", "export WANDB_API_KEY", "offline"]),
        ({"name": "wandb", "mode": "on"}, ["logger.mode = on", "online, offline, disabled"]),
        ({"name": "wandb", "project": ""}, ["logger.project", "a name"]),
        ({"name": "wandb", "projct": "x"}, ["logger.projct", "Did you mean 'project'?"]),
        ({"name": "none", "mode": "online"}, ["logger.mode", "no such key"]),
        ({"name": "wandbb"}, ["logger = wandbb", "Did you mean 'wandb'?", "none, wandb"]),
    ],
)
def test_mistakes_are_named(typed: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        read_logger(typed)
    assert [words for words in said if words not in str(caught.value)] == []


def test_a_mode_in_the_environment_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(UserError, match="WANDB_MODE = online: there is no API key"):
        read_logger({"name": "wandb"})
    monkeypatch.setenv("WANDB_MODE", "loud")
    with pytest.raises(UserError, match="WANDB_MODE = loud"):
        read_logger({"name": "wandb"})


def test_a_folder_that_cannot_be_written(run_of: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"logger\.dir = file: cannot be written"):
        log_run(WandbConfig(dir="file"), score_of(run_of()), Shelf())  # type: ignore[arg-type]


class FilmShelf(Shelf):
    """A store of videos."""

    def items(self, items: Sequence[int]) -> np.ndarray:
        return filmed(prompt_kinds()[list(items)])


def test_videos_are_logged_as_videos_and_as_strips(run_of: Callable[..., Run], tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    wandb.teardown()  # wandb's own process would be that of the test before, with another home
    run = run_of("guidance=s2", "num=64")
    run = replace(run, model=replace(run.model, frames=8, fps=8, film="strip"))
    log_run(WandbConfig(project="a-project"), score_of(run), FilmShelf())  # type: ignore[arg-type]
    (folder,) = (tmp_path / "outputs" / "wandb").glob("offline-run-*")
    (history,) = (record.history for record in written(folder) if record.HasField("history"))
    logged = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in history.item}
    assert logged["samples/caption"] == "tiny_sit, s2: the first 4 of 64 items"
    assert Image.open(folder / "files" / logged["samples/path"]).width > 1000
    files = sorted((folder / "files" / "media" / "videos").glob("*.mp4"))
    assert len(files) == 4 and all(decoded(file.read_bytes()).shape == (8, 384, 384, 3) for file in files)


def test_no_logger_is_none() -> None:
    assert read_logger({"name": "none"}) is None


LOG = """
import sys
from pathlib import Path
from s2g.experiments.specification_file import find_experiment
from s2g.experiments.results import Results
from s2g.integrations.wandb.table_log import log_experiment
from s2g.integrations.wandb.run_log import WandbConfig
place = Path(sys.argv[1])
experiment, results = find_experiment(place.parent, "fig7b"), Results.load(place / "fig7b-tiny.json")
print(log_experiment(WandbConfig(project="a-project"), experiment, results, place))
"""


@pytest.mark.slow("starts wandb")
def test_a_table_is_logged_with_its_pictures(tmp_path: Path) -> None:
    place = CHECKOUT / "experiments" / "results"
    experiment, results = find_experiment(CHECKOUT / "experiments", "fig7b"), Results.load(place / "fig7b-tiny.json")
    # In a process of its own, as a command is: wandb's own process would be that of the test before, with another home.
    own = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    command = [sys.executable, "-c", LOG, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=own, check=True)
    said = done.stdout.strip()
    assert done.stderr == ""
    (folder,) = (tmp_path / "outputs" / "wandb").glob("offline-run-*fig7b-tiny")
    assert said == f"logged offline; to upload: wandb sync {folder.relative_to(tmp_path)}"
    found = written(folder)
    config = {u.key: json.loads(u.value_json) for r in found if r.HasField("config") for u in r.config.update}
    assert config["command"] == results.made["command"] and config["exhibit"] == "fig7b"
    (history,) = (record.history for record in found if record.HasField("history"))
    logged = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in history.item}
    cell = results.rows[1].cell("fd")
    assert cell is not None and cell.delta is not None
    name = f"{results.rows[1].row}/fd"
    assert (logged[name], logged[f"{name}/delta"]) == (cell.value, cell.delta["value"])
    table = json.loads((folder / "files" / logged["table/path"]).read_text())
    assert [row[0] for row in table["data"]] == [line.label for line in experiment.profile("tiny").rows.values()]
    assert len(json.loads((folder / "files" / logged["cells/path"]).read_text())["data"]) == 2 * len(results.rows)
    assert Image.open(folder / "files" / logged["plot/path"]).width > 1000

"""Stored files of hostile shape, and things in their places that are no files: damage, named and repaired, no traceback."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from s2g.cli.commands.inventory import show
from s2g.cli.commands.upkeep import status
from s2g.cli.run import main
from s2g.errors import DamageError
from s2g.io.json_files import DEEPEST, parse
from s2g.scoring.headline import headline
from s2g.store.repair import repair
from s2g.store.store import Store, checksum
from s2g.store.verify import DAMAGED, LEFT_OVER, examine

COMMAND = ["guidance=none", "sampler.steps=1", "num=32", "executor.workers=1"]
QUIET = Console(quiet=True)
RUN_DOES_NOT_FIT = r"run\.json does not say what the run is"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two units, with its scores; never touched."""
    root = tmp_path_factory.mktemp("made")
    assert main([*COMMAND, f"runs={root}"]) == 0
    (folder,) = root.iterdir()
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    """A copy to be damaged."""
    return Store(Path(shutil.copytree(made, tmp_path / "runs" / made.name)))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a stored JSON file and give it a right checksum again."""
    content = json.loads(path.read_text())
    content.pop("check")
    changed = change(content)
    content = content if changed is None else changed
    path.write_text(json.dumps({**content, "check": checksum(content)} if isinstance(content, dict) else content))


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_nested_json_is_refused_before_python_gives_up() -> None:
    assert parse(deep(DEEPEST)) != parse(deep(3))
    for levels in (DEEPEST + 1, 10_000, 1_000_000):
        with pytest.raises(ValueError, match="nested too deep"):
            parse(deep(levels))


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.pop("identity"),
        lambda run: run["identity"].pop("model"),
        lambda run: run["identity"]["model"].update(unit="16"),
        lambda run: run["identity"]["model"].update(unit=0),
        lambda run: run.update(num="32"),
        lambda run: run.update(num=10**12),
        lambda run: run.update(config=[1, 2]),
        lambda run: run.pop("fixed"),
        lambda run: run.update(begun=3),
        lambda run: run.update(key=None),
    ],
)
def test_a_run_json_that_does_not_fit_is_damaged(
    store: Store, change: Callable[[Any], Any], capsys: pytest.CaptureFixture
) -> None:
    rewrite(store.folder / "run.json", lambda run: (change(run), None)[1])
    with pytest.raises(DamageError, match=RUN_DOES_NOT_FIT):
        store.read_run()
    assert main([*COMMAND, f"runs={store.folder.parent}"]) == 1
    assert "move it away and repeat the run's command" in capsys.readouterr().err
    status(runs=str(store.folder.parent))
    assert "does not say what the run is" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", [deep(10_000), "3", "[]", "null", '{"check": 3}', "", "\x00", "9" * 5000])
def test_a_run_json_that_is_no_object_is_damaged(store: Store, text: str) -> None:
    (store.folder / "run.json").write_text(text)
    with pytest.raises(DamageError, match=RUN_DOES_NOT_FIT):
        store.read_run()


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("items"),
        lambda record: record["items"].pop(),
        lambda record: record["items"][0].pop("sha256"),
        lambda record: record["items"][0].update(file="../../run.json"),
        lambda record: record["items"][0].update(file="/etc/passwd"),
        lambda record: record["items"][0].update(item="0"),
        lambda record: record.update(items={"a": 1}),
        lambda record: record.update(seconds="fast"),
        lambda record: record.pop("environment"),
        lambda record: record.pop("flops"),
    ],
)
def test_a_record_that_does_not_fit_is_damaged_and_repaired(store: Store, made: Path, change: Callable[[Any], Any]) -> None:
    rewrite(store.record_path(1), lambda record: (change(record), None)[1])
    found = examine(store, 1)
    assert [(finding.kind, finding.path) for finding in found.findings if finding.bad] == [(DAMAGED, "units/000001.json")]
    repair(store, found, QUIET, workers=1)
    assert examine(store, 1).again == []
    assert [p.read_bytes() for p in sorted((store.folder / "items").iterdir())] == [
        p.read_bytes() for p in sorted((made / "items").iterdir())
    ]


@pytest.mark.parametrize("name", ["units/000001.json", "items/000020.png"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_damage_and_repair_puts_it_aside(store: Store, name: str, kind: str) -> None:
    path = store.folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "precious.txt").write_text("kept")
    else:
        path.symlink_to("/dev/zero")
    found = examine(store, 1)
    assert (DAMAGED, name) in {(finding.kind, finding.path) for finding in found.findings}
    repair(store, found, QUIET, workers=1)
    assert examine(store, 1).again == [] and path.is_file()
    if kind == "folder":
        (aside,) = path.parent.glob(f"{path.name}.aside.*")
        assert (aside / "precious.txt").read_text() == "kept"


@pytest.mark.parametrize("text", [deep(10_000), "{}", '{"n": "many"}', '{"n": 1000000000000}', "[1]"])
def test_scores_that_do_not_fit_are_left_over_and_measured_again(store: Store, text: str) -> None:
    (score,) = (store.folder / "scores").glob("*.json")
    score.write_text(text)
    assert (LEFT_OVER, f"scores/{score.name}") in {(f.kind, f.path) for f in examine(store, 1).findings}
    assert headline(store) is None
    show(run=str(store.folder), runs=str(store.folder.parent))
    assert main([*COMMAND, f"runs={store.folder.parent}"]) == 0
    assert headline(store) is not None


@pytest.mark.parametrize("name", ["env.json", "journal.jsonl"])
def test_notes_of_hostile_shape_lose_nothing(store: Store, name: str) -> None:
    for text in (deep(10_000), "[]", '{"a": 3}', '"text"'):
        (store.folder / name).write_text(text)
        assert examine(store, 1).again == []
        assert main([*COMMAND, f"runs={store.folder.parent}"]) == 0
    (store.folder / name).unlink()
    os.mkfifo(store.folder / name)
    assert examine(store, 1).again == []

"""Items that are points: rows of their unit's file, found out when damaged and mended like images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import DamageError
from s2g.scoring.score import score
from s2g.store.repair import repair
from s2g.store.store import Store
from s2g.store.verify import DAMAGED, examine

EXACT = ("model=exact_2d", "bench=gmm", "guidance=cfg", "sampler.steps=4", "model.unit=64", "num=100")


def made(run: Run, root: Path, workers: int = 1) -> Store:
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=workers)) as executor:
        execute([run], str(root), executor, True, Console(quiet=True)).check(run)
    return Store.of(run, root)


def test_points_are_stored_by_unit_and_read_back(run_of: Callable[..., Run], tmp_path: Path) -> None:
    run = run_of(*EXACT)
    store = made(run, tmp_path)
    assert sorted(path.name for path in (store.folder / "items").iterdir()) == ["unit-000000.npy", "unit-000001.npy"]
    points = store.items(range(100))
    assert points.shape == (100, 2) and points.dtype == np.float32
    assert (points[70] == np.load(store.folder / "items" / "unit-000001.npy")[6]).all()
    assert (store.items([99, 3, 70]) == points[[99, 3, 70]]).all()
    entry = store.record(1)["items"][6]
    assert (entry["item"], entry["file"], entry["row"]) == (70, "unit-000001.npy", 6)
    found = score(run, store)
    assert found.estimates["right"].value > 99 and found.cost.flops == 0 and found.cost.evaluations == 8
    assert not examine(store, 1).findings


@pytest.mark.slow("many processes")
def test_bytes_depend_on_nothing_but_the_key(run_of: Callable[..., Run], tmp_path: Path) -> None:
    run = run_of(*EXACT)
    one, other = made(run, tmp_path / "one"), made(run, tmp_path / "other", workers=2)
    for path in (one.folder / "items").iterdir():
        assert path.read_bytes() == (other.folder / "items" / path.name).read_bytes()


def test_even_noise_is_another_run_and_random_noise_has_its_old_key(run_of: Callable[..., Run]) -> None:
    run = run_of(*EXACT)
    assert "noise" not in run.identity()["model"]
    even = run_of(*EXACT, "model.noise=even")
    assert even.identity()["model"]["noise"] == "even" and even.key != run.key
    assert (even.unit(0).cycle, run.unit(0).cycle) == (4, 0)


@pytest.mark.parametrize("how", ["a flipped bit", "cut short", "gone", "another array"])
def test_damage_is_named_and_mended_to_the_same_bytes(run_of: Callable[..., Run], tmp_path: Path, how: str) -> None:
    run = run_of(*EXACT)
    store = made(run, tmp_path)
    path = store.folder / "items" / "unit-000001.npy"
    before = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "another array":
        np.save(path, np.zeros((3, 2), np.float32))
    else:
        path.write_bytes(before[:-5] if how == "cut short" else before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(DamageError, match=r"unit-000001\.npy"):
        store.items(range(100, 128))
    examined = examine(store, 1)
    bad = [finding for finding in examined.findings if finding.kind == DAMAGED]
    assert examined.again == [1] and bad
    if how == "a flipped bit":
        assert [finding.path for finding in bad] == ["items/unit-000001.npy row 63"]
    told = repair(store, examined, Console(quiet=True), 1)
    assert "unit 1: sampled again, the same bytes as recorded" in told
    assert path.read_bytes() == before and not examine(store, 1).findings


def test_a_run_of_points_extends(run_of: Callable[..., Run], tmp_path: Path) -> None:
    few, more = run_of(*EXACT, "model.noise=even"), run_of(*EXACT[:-1], "num=200", "model.noise=even")
    first = made(few, tmp_path).items(range(100))
    again = made(more, tmp_path)
    assert few.key == more.key and (again.items(range(100)) == first).all()
    assert json.loads((again.folder / "run.json").read_text())["num"] == 200

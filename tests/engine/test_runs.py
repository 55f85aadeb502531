"""Runs: keys, resume, extension, and bytes that depend on nothing but the key."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from s2g.config.schema import CHECKOUT, ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.scoring.score import difference, score
from s2g.store.store import Store

QUICK = ("sampler.steps=2", "guidance.omega=0.5", "guidance.window=[0,1]")
RunOf = Callable[..., Run]


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every item file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "items").iterdir())}


def make(run: Run, root: Path, workers: int = 1, reuse: bool = True) -> Store:
    Store.of(run, root).begin(run, reuse)
    with LocalExecutor(ExecutorConfig(workers=workers)) as executor:
        execute([run], str(root), executor, reuse, Console(quiet=True))
    return Store.of(run, root)


def command(root: Path, *overrides: str) -> list[str]:
    return [sys.executable, str(CHECKOUT / "run.py"), *QUICK, "executor.workers=1", f"runs={root}", *overrides]


def test_the_key_is_what_determines_the_samples(run_of: RunOf) -> None:
    base = run_of(*QUICK)
    assert base.added == [base.guidance, base.sampler, base.bench]  # the adapter is ours
    same = [
        ("num=1024",),
        ("executor.workers=2",),
        ("executor.reuse=false",),
        ("guidance.omega=5e-1",),
        ("guidance.scale=1.5",),
    ]
    same += [("guidance.drop_ratio=0.05",), ("guidance.drop_blocks=1",), ("guidance.protect=[0,0]",), ("sampler=euler",)]
    for overrides in same:
        assert run_of(*QUICK, *overrides).key == base.key, overrides
    other = [
        ("seed=1",),
        ("mask_seed=1",),
        ("guidance.omega=0.51",),
        ("guidance.scale=2.5",),
        ("guidance=cfg",),
        ("model.unit=8",),
    ]
    other += [("sampler=heun",), ("guidance.window=[0.1,0.9]",), ("guidance.drop_blocks=2",), ("guidance.protect=[1]",)]
    other += [("model.passes=separate",), ("model.dtype=bf16",), ("guidance.form=eq20",)]
    keys = {base.key}
    for overrides in other:
        kept = [text for text in QUICK if not (overrides[0] == "guidance=cfg" and text.startswith("guidance."))]
        key = run_of(*kept, *overrides).key
        assert key not in keys, overrides
        keys.add(key)


def test_the_key_does_not_drift(run_of: RunOf) -> None:
    """The identity as plain data: a change here orphans every stored run, so it is made on purpose or not at all."""
    identity = run_of("guidance.omega=0.5", "guidance.scale=3").identity()
    assert identity["version"] == 1
    assert identity["guidance"] == {
        "class": "S2",
        "base": {"class": "CFG", "scale": 3.0, "rescale": 0.0},
        "omega": 0.5,
        "drop": 1,
        "protect": [0],
        "window": {"class": "Window", "start": 0.1, "stop": 0.9, "by": "step"},
        "form": "eq4",
    }
    assert identity["sampler"] == {"class": "Euler", "steps": 28, "shift": 1.0}


@pytest.mark.slow("many processes")
def test_stopped_resumed_and_extended_runs_are_the_straight_run(tmp_path: Path, run_of: RunOf) -> None:
    straight = make(run_of(*QUICK, "num=200"), tmp_path / "straight")

    process = subprocess.Popen(command(tmp_path / "parts", "num=100"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = Store.of(run_of(*QUICK), tmp_path / "parts").folder
    until = time.monotonic() + 120
    while len(list((folder / "units").glob("*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(list((folder / "units").glob("*.json")))
    assert 2 <= before < 7
    kept = {path: path.stat().st_mtime_ns for path in (folder / "units").iterdir() if path.suffix == ".json"}

    for num in ("100", "200"):
        done = subprocess.run(command(tmp_path / "parts", f"num={num}"), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert digests(folder) == digests(straight.folder) and len(digests(folder)) == 208  # 13 units of 16
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())  # nothing stored was made again
    masks = [json.loads(path.read_text())["masks"] for path in sorted((folder / "units").glob("*.json"))]
    assert masks == [straight.record(unit)["masks"] for unit in range(13)]
    assert len({json.dumps(m) for m in masks}) > 6 and all(len(step) == 1 for m in masks for step in m)


@pytest.mark.slow("many processes")
def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, run_of: RunOf) -> None:
    """1, 2, 3, and 1 that becomes 3 in the middle."""
    run = run_of(*QUICK, "num=80")
    one, two, three = (make(run, tmp_path / str(workers), workers=workers) for workers in (1, 2, 3))
    make(run_of(*QUICK, "num=32"), tmp_path / "changed")
    changed = make(run, tmp_path / "changed", workers=3)
    scores = []
    for store in (one, two, three, changed):
        score(run, store)
        scores.append({path.name: path.read_bytes() for path in (store.folder / "scores").iterdir()})
        assert digests(store.folder) == digests(one.folder)
    assert scores[0] == scores[1] == scores[2] == scores[3] and len(scores[0]) == 2


def test_items_do_not_depend_on_num_and_methods_share_noise(tmp_path: Path, run_of: RunOf) -> None:
    none = run_of("guidance=none", "sampler.steps=1", "num=16")
    short, long = make(none, tmp_path), make(run_of("guidance=none", "sampler.steps=1", "num=17"), tmp_path)
    assert short.folder == long.folder and long.stored() == {0, 1}
    assert np.asarray(Image.open(short.folder / "items" / "000003.png")).shape == (32, 32, 3)


def test_reuse_is_fixed_when_a_run_begins(tmp_path: Path, run_of: RunOf) -> None:
    run = run_of(*QUICK, "num=16")
    make(run, tmp_path)
    with pytest.raises(UserError, match="was started with true"):
        make(run, tmp_path, reuse=False)


def test_reuse_changes_cost_but_hardly_a_pixel(tmp_path: Path, run_of: RunOf) -> None:
    run = run_of(*QUICK, "num=16")
    reuse, plain = make(run, tmp_path / "reuse"), make(run, tmp_path / "plain", reuse=False)
    difference_ = reuse.items(range(16)).astype(int) - plain.items(range(16)).astype(int)
    assert abs(difference_).max() <= 1
    a, b = reuse.record(0), plain.record(0)
    assert a["evaluations"] == b["evaluations"] == 2 * 3
    assert a["flops"] < b["flops"] and a["masks"] == b["masks"]


def test_scores_are_kept_and_paired(tmp_path: Path, run_of: RunOf) -> None:
    runs = [run_of("guidance=cfg", "sampler.steps=4", "num=40", f"guidance.scale={scale}") for scale in (1, 3)]
    scores = [score(run, make(run, tmp_path)) for run in runs]
    again = score(runs[0], Store.of(runs[0], tmp_path))
    assert repr(again.estimates) == repr(scores[0].estimates)  # some are not defined for 40 items, and nan is not nan
    for metric in runs[0].bench.metrics:
        delta = difference(metric, scores[1], scores[0])
        values = [one.estimates[metric.name].value for one in scores]
        assert delta.value == pytest.approx(values[1] - values[0], nan_ok=True)
        assert delta.units == 3
        same = difference(metric, again, scores[0]).value
        assert same == 0 or (np.isnan(same) and np.isnan(values[0]))
    (stored,) = (Store.of(runs[0], tmp_path).folder / "scores").glob("*.json")
    assert json.loads(stored.read_text())["n"] == 40
    assert (scores[0].cost.evaluations, scores[1].cost.evaluations) == (4, 8)


def test_nothing_temporary_is_left(tmp_path: Path, run_of: RunOf) -> None:
    store = make(run_of("guidance=none", "sampler.steps=1", "num=16"), tmp_path)
    assert not [path for path in store.folder.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".")]
    assert os.listdir(tmp_path) == [store.folder.name]

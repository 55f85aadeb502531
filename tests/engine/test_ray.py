"""executor=ray: the same bytes as the local executor, through the deaths of actors and nodes, and what it refuses."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torture
from engine.failing_methods import Assigned, Killed, Waits
from rich.console import Console
from spread_scorer import noted, request

from s2g.cli.run import main
from s2g.config.schema import CHECKOUT, ExecutorConfig
from s2g.engine.execute import Made, execute
from s2g.engine.executors import ray_node
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UnitsFailedError, UserError
from s2g.scoring.score import ScoreJob, score
from s2g.scoring.scoring_pool import ScoringPool
from s2g.store.journal import Journal
from s2g.store.store import Store

RunOf = Callable[..., Run]
QUICK = ("guidance=s2", "sampler.steps=2", "model.unit=4", "num=48")


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Ray with two nodes on this machine, of one and of two workers; this process is connected to it."""
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]  # an extra

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_worker_niceness", "0")
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("PYTHONPATH", str(CHECKOUT / "tests"))  # the workers import the methods of failing_methods.py
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=2)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()
    patch.undo()


def make(
    run: Run, root: Path, workers: int | None = None, meanwhile: Callable[[Any, Store], None] | None = None
) -> tuple[Store, Made]:
    """Make a run on Ray; meanwhile: what is done to executor and store while a thread makes it."""
    from s2g.engine.executors.ray_executor import RayExecutor

    store = Store.of(run, root)
    store.begin(run, True)
    config = ExecutorConfig(name="ray", workers=workers, device="cpu")
    with RayExecutor(config) as executor, ThreadPoolExecutor(1) as thread:
        made = thread.submit(execute, [run], str(root), executor, True, Console(quiet=True))
        if meanwhile is not None:
            meanwhile(executor, store)
        return store, made.result()


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def make_here(run: Run, root: Path) -> Store:
    store = Store.of(run, root)
    store.begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        execute([run], str(root), executor, True, Console(quiet=True)).check(run)
    return store


def content(run: Run, store: Store) -> dict[str, str]:
    score(run, store)
    assert not torture.temporary(store)
    return torture.content(store)


@pytest.mark.slow("starts Ray")
def test_one_two_three_actors_and_a_change_of_executor_give_the_bytes_of_the_local_one(
    cluster: object, tmp_path: Path, run_of: RunOf
) -> None:
    run = run_of(*QUICK)
    local = content(run, make_here(run, tmp_path / "local"))
    assert len([name for name in local if name.startswith("items/")]) == 48
    for workers in (1, 2, 3):
        store, made = make(run, tmp_path / str(workers), workers)
        assert made.items == 48 and content(run, store) == local, workers
    begun = tmp_path / "begun"
    make_here(replace(run, num=16), begun)
    store, made = make(run, begun, 2)
    assert made.items == 32 and content(run, store) == local
    began = tmp_path / "began"
    make(replace(run, num=16), began, 2)
    assert content(run, make_here(run, began)) == local
    events = [event["event"] for event in Journal(store.folder).events()]
    assert events.count("begun") == events.count("stored") == 12 and "failed" not in events


@pytest.mark.slow("starts Ray")
def test_an_actor_that_dies_is_replaced_and_a_unit_that_kills_three_is_set_aside(
    cluster: object, tmp_path: Path, run_of: RunOf
) -> None:
    for name in ("once", "always"):
        (tmp_path / name).mkdir()
    run = run_of(*QUICK)
    once = replace(run, guidance=Killed(unit=1, times=1, folder=str(tmp_path / "once")))
    store, made = make(once, tmp_path, 2)
    made.check(once)
    assert store.stored() == set(range(12)) and not torture.temporary(store)
    (failed,) = (event for event in Journal(store.folder).events() if event["event"] == "failed")
    assert failed["unit"] == 1 and "its worker died" in failed["error"]

    doomed = replace(run, guidance=Killed(unit=2, times=99, folder=str(tmp_path / "always")))
    store, made = make(doomed, tmp_path, 2)
    assert store.stored() == set(range(12)) - {2} and store.failed() == {2}
    with pytest.raises(UnitsFailedError, match="1 of 12 units failed: 2\n  its worker died"):
        made.check(doomed)


@pytest.mark.slow("starts Ray")
def test_a_node_with_other_code_or_without_the_store_is_refused_before_anything_is_sampled(
    cluster: Any, tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2g.engine.executors.ray_executor import RayExecutor

    run, host, enter = run_of(*QUICK), platform.node(), RayExecutor.__enter__

    def other(self: RayExecutor) -> RayExecutor:
        self._facts |= {"torch": "2.0.0", "code of s2g": "0123456789ab"}
        return enter(self)

    with monkeypatch.context() as patch:
        patch.setattr(RayExecutor, "__enter__", other)
        with pytest.raises(
            UserError, match=rf"same samples\n  {host}: code of s2g \w+, not 0123456789ab; torch .*, not 2\.0\.0"
        ):
            make(run, tmp_path / "code", 2)
    store = Store.of(run, tmp_path / "code")
    assert not store.stored() and not torture.temporary(store) and "begun" not in str(list(Journal(store.folder).events()))

    hidden = tmp_path / "hidden"
    hidden.mkdir()
    ray_start = f"{sys.executable} -m ray.scripts.scripts start --address={cluster.address} --num-cpus=1 --block"
    join = f"mount -t tmpfs none {hidden} && exec {ray_start}"
    node = subprocess.Popen(["unshare", "-m", "sh", "-c", join], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: node.poll() is not None or len([n for n in sys.modules["ray"].nodes() if n["Alive"]]) == 3)
        if node.poll() is not None:
            pytest.skip("mounting a file system that other processes do not see is not allowed here")
        with pytest.raises(
            UserError, match=rf"{host}: it does not see {hidden}/{run.key}\n  do: (.|\n)*a file system that they share"
        ):
            make(run, hidden, 2)
    finally:
        node.terminate()
        node.wait()
    assert not Store.of(run, hidden).stored() and not torture.temporary(Store.of(run, hidden))


@pytest.mark.slow("starts Ray")
def test_what_scores_has_processes_and_resources_of_its_own(cluster: Any, tmp_path: Path, run_of: RunOf) -> None:
    """One node has what scorers ask for: a job of each run is done there, while others are sampled, and so are questions."""
    from s2g.engine.executors.ray_executor import RayExecutor

    node = cluster.add_node(num_cpus=1, resources={"judge": 1})
    runs = [run_of(*QUICK[:-1], f"num={num}", f"seed={num}") for num in (16, 48)]
    config = ExecutorConfig(name="ray", workers=2, device="cpu", scoring={"CPU": 0, "judge": 0.25})
    for run in runs:
        Store.of(run, tmp_path).begin(run, True)
    with RayExecutor(config) as executor:
        assert executor.scorers == 4
        about = (runs, str(tmp_path), executor, True, Console(quiet=True))
        execute(*about, then=lambda run: Assigned(ScoreJob(run, str(tmp_path)), tmp_path / f"{run.num}.txt"))
        for run in runs:
            where, resources = (tmp_path / f"{run.num}.txt").read_text().split("\n", 1)
            assert where == node.node_id and resources == "{'judge': 0.25}"
            assert len(list((Store.of(run, tmp_path).folder / "scores").iterdir())) == 2
        (tmp_path / "asked").mkdir()
        answers = ScoringPool(lambda: executor, Console(quiet=True)).answer(request(tmp_path / "asked", 100))
        assert answers == [i / 7 for i in range(99)] + [0.0] and len(noted(tmp_path / "asked")) == 99
    for run in runs:
        local = content(run, make_here(run, tmp_path / "local"))
        assert content(run, Store.of(run, tmp_path)) == local
    with pytest.raises(UserError, match=r"executor\.scoring: no node of the cluster has CPU 1, jury 1\n(.|\n)*ray status"):
        RayExecutor(replace(config, scoring={"jury": 1})).__enter__()
    cluster.remove_node(node)


@pytest.mark.slow("starts Ray")
def test_samplers_without_work_make_room_for_what_scores(cluster: Any, tmp_path: Path, run_of: RunOf) -> None:
    """Samplers hold every processor, and a scorer needs two of one node."""
    from s2g.engine.executors.ray_executor import RayExecutor

    run = run_of(*QUICK)
    Store.of(run, tmp_path).begin(run, True)
    with RayExecutor(ExecutorConfig(name="ray", device="cpu", scoring={"CPU": 2})) as executor:
        assert executor.workers >= 3
        about = ([run], str(tmp_path), executor, True, Console(quiet=True))
        made = execute(*about, then=lambda run: Assigned(ScoreJob(run, str(tmp_path)), tmp_path / "job.txt"))
    assert made.items == 48 and (tmp_path / "job.txt").read_text().endswith("{'CPU': 2.0}")


@pytest.mark.slow("starts Ray")
def test_a_node_that_joins_works_and_one_that_dies_costs_no_byte(cluster: Any, tmp_path: Path, run_of: RunOf) -> None:
    gate = tmp_path / "gate"  # until the nodes have changed, no more than the first 20 units can be made
    run = replace(run_of(*QUICK[:-1], "num=240"), guidance=Waits(unit=20, gate=str(gate)))
    up = []

    def change(executor: Any, store: Store) -> None:
        until(lambda: executor.alive == 3 and len(store.stored()) > 2)
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        until(lambda: executor.workers == 1)
        cluster.add_node(num_cpus=1)
        until(lambda: executor.alive == 2)
        up.append(len(store.stored()))
        gate.touch()

    store, made = make(run, tmp_path / "ray", meanwhile=change)
    made.check(run)
    local = content(run, make_here(run, tmp_path / "local"))
    assert content(run, store) == local and made.items == 240 and up[0] < 60
    events = list(Journal(store.folder).events())
    stored = [event["unit"] for event in events if event["event"] == "stored"]
    assert sorted(stored) == list(range(60))
    failed = [event["error"] for event in events if event["event"] == "failed"]
    assert 1 <= len(failed) <= 2 and all("died" in error for error in failed), failed


def test_a_look_at_a_node_says_what_differs_and_whether_it_sees_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_node, "NETWORK_DELAY", 0.1)
    expected = ray_node.facts(["numpy", "no-such-package"])
    assert expected["no-such-package"] == "not installed" and len(expected["code of s2g"]) == 12
    (tmp_path / "locks" / "use" / "probe").mkdir(parents=True)
    assert ray_node.look(expected, str(tmp_path / "locks" / "use" / "probe"))["wrong"] == ""
    wrong = ray_node.look(expected | {"numpy": "1.0", "code of s2g": "abc"}, str(tmp_path / "locks" / "use" / "gone"))["wrong"]
    assert (
        "code of s2g " + expected["code of s2g"] + ", not abc; " in wrong and f", not 1.0; it does not see {tmp_path}" in wrong
    )
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(ray_node.util, "find_spec", lambda name: None)
    assert ray_node.facts([])["code of s2g"] == "not installed"


def test_without_ray_there_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from s2g.config.registry import EXECUTORS

    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("executor", "nodes", "connection"):
        monkeypatch.delitem(sys.modules, f"s2g.engine.executors.ray_{name}", raising=False)
    with pytest.raises(UserError, match=r"^executor = ray: Ray cannot be imported .*\n  allowed: executor=local\n  do: pip"):
        EXECUTORS.load("ray")


@pytest.mark.slow("Ray asks for seconds")
def test_something_else_that_listens_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    from s2g.engine.executors import ray_connection

    monkeypatch.setattr(ray_connection, "HEALTH", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"^executor\.address = {address}: no Ray cluster answers there\n  do: "):
            ray_connection.connect(ExecutorConfig(name="ray", address=address))


def test_the_command_ends_with_one_message_and_samples_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    command = ["guidance=none", "sampler.steps=1", "num=16", "executor=ray", "executor.address=127.0.0.1:1", f"runs={tmp_path}"]
    assert main(command) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: executor.address = 127.0.0.1:1: it does not answer") and "Traceback" not in said
    assert not list(tmp_path.glob("*/items/*")) and not list(tmp_path.glob("*/locks/*"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "it does not answer"),
        ("ray://head:10001", "has to run on a node"),
        ("head", "allowed: auto, HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(address: str, said: str) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    from s2g.engine.executors.ray_connection import connect

    with pytest.raises(UserError, match=rf"executor\.address = {address}(.|\n)*{said}(.|\n)*do: "):
        connect(ExecutorConfig(name="ray", address=address))

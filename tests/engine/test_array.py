"""Independent processes on one store (a SLURM array, or the same command typed several times): the bytes of one command."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import torture
from tortured import Command

from s2g.store.journal import Journal

ITEMS, STEPS = 320, 2  # three rows, twenty units


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table made by one command in one process."""
    root = tmp_path_factory.mktemp("array") / "alone"
    torture.finish(Command(ITEMS, STEPS, root, "local", 1))
    return root


def same(root: Path, alone: Path, killed: int = 0) -> None:
    """Items, records and scores are those of one process; no unit and no answer was made twice; nothing temporary is left."""
    kills = torture.Kills(at_risk=killed)
    row = torture.check(alone, root, kills)
    assert row[-1] == "yes", dict(zip(torture.HEAD, row, strict=True))


@pytest.mark.slow("many processes")
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_any_number_of_processes_gives_the_bytes_of_one_command(processes: int, alone: Path, tmp_path: Path) -> None:
    root = tmp_path / "array"
    torture.finish(Command(ITEMS, STEPS, root, "array", processes))
    same(root, alone)


@pytest.mark.slow("many processes")
def test_a_table_that_begins_under_one_executor_and_ends_under_others(alone: Path, tmp_path: Path) -> None:
    """Two workers of a command, then an array of two, each killed on the way; two actors of Ray end it."""
    pytest.importorskip("ray", reason="needs the extra ray")
    root = tmp_path / "mixed"
    root.mkdir()
    stored = []
    for executor, until in (("local", 3), ("array", 10)):
        command = Command(ITEMS, STEPS, root, executor, 2)
        command.start()
        end = time.monotonic() + 300
        while torture.counted(torture.stores(root))["stored"] < until:
            assert time.monotonic() < end and not command.done()
            time.sleep(0.02)
        command.kill("all processes", None)
        stored.append(sum(len(store.stored()) for store in torture.stores(root)))
    assert 3 <= stored[0] < stored[1] < 20
    torture.finish(Command(ITEMS, STEPS, root, "ray", 2))
    same(root, alone, killed=4)
    starts = [event for store in torture.stores(root) for event in Journal(store.folder).events() if event["event"] == "start"]
    assert {event["workers"] for event in starts} == {1, 2}  # an array's processes have one each


@pytest.mark.slow("many processes")
def test_two_machines_worth_of_processes_started_at_once(alone: Path, tmp_path: Path) -> None:
    """Host name and process numbers of their own: neither side can look into the other's process table."""
    root, script = tmp_path / "shared", 'hostname "$0" && exec "$@"'
    root.mkdir()
    elsewhere = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
    if subprocess.run([*elsewhere, "a", "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces of host names and processes are not allowed here")
    machines = [Command(ITEMS, STEPS, root, "array", 2, prefix=[*elsewhere, name]) for name in ("one", "other")]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.wait()
    same(root, alone)
    events = [event for store in torture.stores(root) for event in Journal(store.folder).events()]
    made = {
        host: sum(e["made"] for e in events if e["event"] == "end" and e["owner"].endswith(host)) for host in ("one", "other")
    }
    assert sum(made.values()) == 20 and min(made.values()) > 0

"""Kill a run at random moments, many times, and hold what comes of it against the undisturbed one.

    python scripts/torture.py [kills=50] [items=2000] [steps=8] [seed=0] [root=outputs/torture] [executor=local]

For the methods s2 and one that carries momentum from step to step: a run in one go, then the same run killed again and
again (the command, the command with all its workers, or one worker; 1 to 3 workers, changed at every start), resumed
each time by the same command. Items, masks and scores must be the same bytes, nothing temporary may be left, and no
unit may have been made more often than it was interrupted.

executor=ray: the undisturbed run is the local executor's, the other one is made on a Ray cluster of two nodes on this
machine; what is killed is the command, one actor, or a node, which joins again.

Ends with a Markdown table; exit code 1 if anything differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from s2g.engine.environment import machine
from s2g.report.tables import markdown_table
from s2g.store.journal import Journal
from s2g.store.store import Store

SCRIPTS = str(Path(__file__).resolve().parent)  # where the momentum method is
METHODS = {"s2": ["guidance=s2"], "momentum": ["guidance=cfg", "guidance.name=momentum"]}
MODES = ("the command", "the command and its workers", "one worker")
RAY_MODES = ("the command", "one worker", "a node")


@dataclass
class Settings:
    """What can be typed as key=value."""

    kills: int = 50
    items: int = 2000
    steps: int = 8
    seed: int = 0
    root: str = "outputs/torture"
    executor: str = "local"


@dataclass
class Kills:
    """What was done to a run."""

    modes: Counter[str]
    workers: Counter[int]
    at_risk: int = 0  # units that may have been in the making when a kill came: one a worker


class Nodes:
    """A Ray cluster on this machine: a head that has room for one worker, and a node, for two, that can be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]  # an extra

        os.environ["PYTHONPATH"] = SCRIPTS + os.pathsep + os.environ.get("PYTHONPATH", "")
        os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.node = self.cluster.add_node(num_cpus=2)

    def kill(self) -> None:
        """Kill the second node, with all that runs there, and start another."""
        self.cluster.remove_node(self.node, allow_graceful=False)
        self.node = self.cluster.add_node(num_cpus=2)


def child(arguments: Sequence[str]) -> int:
    """Run `python run.py` with the momentum method registered."""
    from s2g.cli.run import main
    from s2g.config.registry import GUIDANCE

    GUIDANCE.add("momentum", "momentum_method:Momentum", "CFG with momentum over steps: a method with a memory")
    return main(arguments)


def command(settings: Settings, method: str, root: Path, workers: int, nodes: Nodes | None = None) -> list[str]:
    """Return the run's command line."""
    knobs = [f"sampler.steps={settings.steps}", f"num={settings.items}", f"executor.workers={workers}", f"runs={root}"]
    knobs += [] if nodes is None else ["executor=ray", f"executor.address={nodes.cluster.address}"]
    return [sys.executable, str(Path(__file__).resolve()), "child", *METHODS[method], *knobs]


def start(settings: Settings, method: str, root: Path, workers: int, nodes: Nodes | None = None) -> subprocess.Popen[bytes]:
    """Start the run's command in a process group of its own."""
    return subprocess.Popen(
        command(settings, method, root, workers, nodes),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": SCRIPTS + os.pathsep + os.environ.get("PYTHONPATH", "")},
    )


def finish(settings: Settings, method: str, root: Path, workers: int, nodes: Nodes | None = None) -> Store:
    """Run to the end; RuntimeError if it does not get there."""
    done = subprocess.run(command(settings, method, root, workers, nodes), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{method} in {root} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    (folder,) = (path.parent for path in root.glob("*/run.json"))
    return Store(folder)


def at_work(store: Store | None) -> int:
    """List units that were begun and are neither stored nor failed."""
    if store is None:
        return 0
    counts = Counter(event["event"] for event in Journal(store.folder).events())
    return counts["begun"] - counts["stored"] - counts["failed"]


def workers_of(process: subprocess.Popen[bytes], nodes: Nodes | None = None) -> list[int]:
    """List the process ids of a command's sampling workers; on Ray those of all commands."""
    workers = []
    if nodes is not None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                workers += [int(path.parent.name)] if path.read_bytes().startswith(b"ray::Actor") else []
        return workers
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            ours = path.read_text().rpartition(")")[2].split()[1] == str(process.pid)
            if ours and b"spawn_main" in (path.parent / "cmdline").read_bytes():
                workers.append(int(path.parent.name))
    return workers


def torture(settings: Settings, method: str, root: Path, nodes: Nodes | None = None) -> tuple[Store, Kills]:
    """Run to the end with `settings.kills` interruptions."""
    chance = random.Random(f"{settings.seed} {method}")
    kills = Kills(Counter(), Counter())
    pace = 0.1  # seconds a unit takes one worker, learnt on the way
    process: subprocess.Popen[bytes] | None = None
    units = -(-settings.items // 16)
    while sum(kills.modes.values()) < settings.kills:
        if process is None:
            workers = chance.randint(1, 3)
            process = start(settings, method, root, workers, nodes)
            kills.workers[workers] += 1
            lost = at_work(store_of(root))  # of the kill before
        mode = chance.choice(MODES if nodes is None else RAY_MODES)
        left = units - len(store.stored()) if (store := store_of(root)) else units
        remaining = settings.kills - sum(kills.modes.values())
        if chance.random() < 0.8:  # most kills while it samples, some while it starts
            wait_for_work(process, root, lost)
        time.sleep(chance.uniform(0, 2 * min(pace * left / (remaining + 1), 5.0)))
        if process.poll() is not None:
            raise RuntimeError(f"{method} was done after {sum(kills.modes.values())} kills: more items, or fewer kills")
        if mode == "one worker":
            victims = workers_of(process, nodes)
            if not victims:
                continue
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(chance.choice(victims), signal.SIGKILL)
        elif mode == "a node":
            assert nodes is not None
            nodes.kill()
        else:
            if mode == "the command":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process = None
        kills.at_risk += 1 if mode == "one worker" else min(workers, 2) if mode == "a node" else workers
        kills.modes[mode] += 1
        if (store := store_of(root)) is not None:
            seconds = [event["seconds"] for event in Journal(store.folder).events() if event["event"] == "stored"]
            pace = sum(seconds) / len(seconds) if seconds else pace
    if process is not None:
        process.wait()
    return finish(settings, method, root, chance.randint(1, 3), nodes), kills


def store_of(root: Path) -> Store | None:
    """Return the store of the run below `root`, once it has begun."""
    return next((Store(path.parent) for path in root.glob("*/run.json")), None)


def wait_for_work(process: subprocess.Popen[bytes], root: Path, lost: int) -> None:
    """Wait until the current process is making a unit."""
    while process.poll() is None and at_work(store_of(root)) <= lost:
        time.sleep(0.05)


def content(store: Store) -> dict[str, str]:
    """Hash everything that must not depend on interruptions: items, scores, and the records' masks and item hashes."""
    files = [path for folder in ("items", "scores") for path in sorted((store.folder / folder).iterdir())]
    hashes = {str(path.relative_to(store.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    for unit in sorted(store.stored()):
        record = store.record(unit)
        lasting = {name: record[name] for name in ("items", "masks", "evaluations", "flops", "block_runs")}
        hashes[f"units/{unit}"] = json.dumps(lasting, sort_keys=True)
    return hashes


def temporary(store: Store) -> list[str]:
    """List files that should be gone when nothing runs."""
    expected = {"run.json", "env.json", "journal.jsonl", "items", "units", "scores"}
    strangers = [path.name for path in store.folder.iterdir() if path.name not in expected]
    return strangers + [path.name for path in store.folder.rglob("*") if path.name.endswith(".tmp") or path.name[0] == "."]


def check(method: str, straight: Store, tortured: Store, kills: Kills) -> list[str]:
    """Return one row of the table; its last cell says whether everything is right."""
    one, other = content(straight), content(tortured)
    events = list(Journal(tortured.folder).events())
    begun, stored = ([event["unit"] for event in events if event["event"] == name] for name in ("begun", "stored"))
    # A kill between a record and the journal's line about it leaves a unit that is stored, once, and not told of.
    interrupted = len(begun) - len(tortured.stored())
    repeated = sum(count - 1 for count in Counter(stored).values())
    fine = one == other and not temporary(tortured) and repeated == 0 and interrupted <= kills.at_risk
    return [
        method,
        ", ".join(f"{count} {mode}" for mode, count in sorted(kills.modes.items())),
        ", ".join(f"{count} with {workers}" for workers, count in sorted(kills.workers.items())),
        str(len(tortured.stored())),
        f"{interrupted} of at most {kills.at_risk}",
        str(repeated),
        str(len(temporary(tortured))),
        f"{sum(one[name] == other.get(name) for name in one)} of {len(one)}",
        "yes" if fine else "NO",
    ]


def main(arguments: Sequence[str]) -> int:
    """Torture both methods; 1 if a run was changed by it."""
    kinds = {field.name: type(getattr(Settings(), field.name)) for field in fields(Settings)}
    typed = dict(text.split("=", 1) for text in arguments)
    settings = Settings(**{name: kinds[name](value) for name, value in typed.items()})
    root = Path(settings.root).absolute()
    shutil.rmtree(root, ignore_errors=True)
    rows, nodes = [], Nodes() if settings.executor == "ray" else None
    for method in METHODS:
        straight = finish(settings, method, root / method / "straight", 2)
        tortured, kills = torture(settings, method, root / method / "tortured", nodes)
        rows.append(check(method, straight, tortured, kills))
    head = [
        "method",
        "kills",
        "starts",
        "units",
        "units restarted",
        "computed twice",
        "temporary files",
        "same bytes",
        "as it should be",
    ]
    if nodes is not None:
        nodes.cluster.shutdown()
    print(
        f"{settings.items} items, {settings.steps} steps, {settings.kills} kills each, executor={settings.executor}; "
        f"{machine()}, {time.strftime('%F')}\n"
    )
    print(markdown_table(head, rows))
    return 0 if all(row[-1] == "yes" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(child(sys.argv[2:]) if sys.argv[1:2] == ["child"] else main(sys.argv[1:]))

"""What scripts/torture.py kills: three rows of a table as one command, and the ways to start it.

The rows: S2, scored by a job between units; a method with a memory (momentum_method.py); CFG, scored file by file by a
scorer whose answers are cached.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from s2g.config.compose import compose_config
from s2g.config.registry import GUIDANCE
from s2g.config.schema import ModelConfig
from s2g.engine.bench import Bench, Metric
from s2g.engine.pool import Pool
from s2g.engine.resolve import resolve
from s2g.experiments.produce import produce
from s2g.scoring.file_scoring import FileBench, filled
from s2g.scoring.file_scoring import Image as File
from s2g.scoring.scorer import Answer, InProcessScorer, Question, ScoringRequest
from s2g.scoring.scoring_pool import answer_here

SCRIPTS = str(Path(__file__).resolve().parent)
ROWS = {"s2": ["guidance=s2"], "momentum": ["guidance=cfg", "guidance.name=momentum"], "cfg, by file": ["guidance=cfg"]}
UNIT = 16
MODEL = ("model=digits_sit", "bench=digits", f"model.unit={UNIT}")  # the smallest that makes images
# What is killed, by executor.
MODES = {
    "local": ("the command", "the command and its workers", "one worker"),
    "array": ("one process", "all processes"),
    "ray": ("the command", "one actor", "a node"),
}


@dataclass(frozen=True)
class Brightness(InProcessScorer):
    """The mean of an image's pixels, after some time."""

    seconds: float = 0.01

    def value(self, question: Question, device: str) -> float:
        time.sleep(self.seconds)
        with Image.open(question.path) as image:
            return float(np.asarray(image, np.float64).mean())


@dataclass(frozen=True)
class ByFile(FileBench):
    """The prompts of another bench, scored file by file."""

    of: Bench
    allow_missing: bool = False

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.of.num

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("brightness", "brightness", None, 2, items=lambda arrays: arrays["brightness"]),)

    def check(self, model: ModelConfig) -> None:
        self.of.check(model)

    def items_id(self) -> Any:
        return self.of.items_id()

    def version(self) -> dict[str, Any]:
        return {"bench": "by file", "version": 1}

    def prompts(self, items: Sequence[int]) -> list[Any]:
        return self.of.prompts(items)

    def caption(self, item: int) -> str:
        return self.of.caption(item)

    def official_name(self, item: int) -> str:
        return f"{item:06d}.png"

    def needs(self) -> list[Callable[[], object]]:
        return []

    def judge(self, images: Sequence[File], num: int, place: Path, answer: Answer = answer_here) -> dict[str, np.ndarray]:
        questions = tuple(Question(image.item, f"{image.sha256} {image.item}", image.path) for image in images)
        values = answer(ScoringRequest("brightness", Brightness(), place / "brightness", questions))
        return {"brightness": filled(num, images, values)}


def shares(items: int) -> Mapping[str, int]:
    """Return how many items each row has; the first row has fewest, so that it is scored while the others are sampled."""
    units = items // UNIT
    first = units * 28 // 100
    second = (units - first) // 2
    return dict(zip(ROWS, (UNIT * first, UNIT * second, UNIT * (units - first - second)), strict=True))


def child(arguments: Sequence[str]) -> None:
    """Make and score all rows: arguments are the number of items and what is typed for every row."""
    GUIDANCE.add("momentum", "momentum_method:Momentum", "CFG with momentum over steps: a method with a memory")
    items, *common = arguments
    config, root, runs = None, "", []
    for row, num in shares(int(items)).items():
        run, config, settings = resolve(compose_config(*MODEL, *ROWS[row], *common, f"num={num}"))
        runs.append(replace(run, bench=ByFile(run.bench)) if row == "cfg, by file" else run)
        root = settings.runs
    with Pool(config=config) as pool:
        produce(runs, root, pool, Console(quiet=True))


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


@dataclass
class Command:
    """The command as it is started: once, or as several independent processes that share the store (array)."""

    items: int
    steps: int
    root: Path
    executor: str
    workers: int  # of the one command, or processes of the array
    nodes: Nodes | None = None
    prefix: Sequence[str] = ()  # what it is started by
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def line(self) -> list[str]:
        """Return the command line."""
        knobs = [f"sampler.steps={self.steps}", f"runs={self.root}"]
        if self.executor == "ray":  # on this machine alone where there are no nodes
            knobs += ["executor=ray", "executor.device=cpu"]
            knobs += [] if self.nodes is None else [f"executor.address={self.nodes.cluster.address}"]
        knobs.append(f"executor.workers={1 if self.executor == 'array' else self.workers}")
        return [*self.prefix, sys.executable, f"{SCRIPTS}/torture.py", "child", str(self.items), *knobs]

    def start(self) -> None:
        """Start what does not run: each process in a group of its own; raise RuntimeError for one that failed by itself."""
        wanted = self.workers if self.executor == "array" else 1
        for process in self.processes:
            if process.poll():
                raise RuntimeError(f"{self.root}: it ended with {process.returncode}; see {self.root}.log")
        self.processes = [process for process in self.processes if process.poll() is None]
        with Path(f"{self.root}.log").open("ab") as log:
            for _ in range(wanted - len(self.processes)):
                process = subprocess.Popen(self.line(), start_new_session=True, stdout=log, stderr=log, env=environment())
                self.processes.append(process)

    def done(self) -> bool:
        """Return whether a process has come to the end of the whole table."""
        return any(process.poll() == 0 for process in self.processes)

    def wait(self) -> None:
        """Wait for the end of all processes; RuntimeError if one fails."""
        for process in self.processes:
            process.wait()
        self.processes, finished = [], self.processes
        if any(process.returncode for process in finished):
            said = Path(f"{self.root}.log").read_text()[-3000:]
            raise RuntimeError(f"{self.root}: it ended with {[process.returncode for process in finished]}:\n{said}")

    def kill(self, mode: str, chance: Any) -> int:
        """Kill as `mode` of MODES says; return how many units may have been in the making there, 0 if there was nothing."""
        if mode in ("one worker", "one actor"):
            victims = self.workers_up()
            if victims:
                with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                    os.kill(chance.choice(victims), signal.SIGKILL)
            return 1 if victims else 0
        if mode == "a node":
            assert self.nodes is not None
            self.nodes.kill()
            return min(self.workers, 2)
        victims = [chance.choice(self.processes)] if mode == "one process" else self.processes
        for process in victims:
            if mode == "the command":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes = [process for process in self.processes if process not in victims]
        return len(victims) if self.executor == "array" else self.workers

    def workers_up(self) -> list[int]:
        """List the process ids of the sampling workers: children of the command, or actors below one of our raylets."""
        parents, names = {}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
                names[int(path.parent.name)] = (path.parent / "cmdline").read_bytes()
        if self.nodes is None:
            ours = {process.pid for process in self.processes}
            return [pid for pid, parent in parents.items() if parent in ours and b"spawn_main" in names.get(pid, b"")]

        def below_us(pid: int) -> bool:
            while pid > 1 and pid != os.getpid():
                pid = parents.get(pid, 0)
            return pid == os.getpid()

        return [pid for pid, name in names.items() if name.startswith(b"ray::Actor") and below_us(pid)]


def environment() -> dict[str, str]:
    """Return the variables of a command whose workers have to import the modules of this folder."""
    return {**os.environ, "PYTHONPATH": SCRIPTS + os.pathsep + os.environ.get("PYTHONPATH", "")}

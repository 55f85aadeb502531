"""executor=ray: the local executor's worker as an actor of Ray, on this machine or on a cluster.

Ray starts the actors, says when one has died, and gives back what a task returns: an outcome of a few bytes. Samples go
from the workers to the store, which the nodes share; the command holds the locks, as with the local executor.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from s2g.config.schema import ExecutorConfig
from s2g.engine.environment import PACKAGES, machine
from s2g.engine.executors import ray_node
from s2g.engine.executors.executor import JOIN, Executor
from s2g.engine.worker import Job, Outcome
from s2g.errors import UnitsFailedError, UserError
from s2g.io.machine import cores
from s2g.store.locks import Locks

try:
    import ray
    from ray import cloudpickle
    from ray.exceptions import OutOfMemoryError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise UserError(
        f"executor = ray: Ray cannot be imported ({error})",
        allowed="executor=local",
        todo="uv pip install 's2g[ray]', on every node of the cluster",
    ) from error

LOOK = 5.0  # seconds between looks at what nodes the cluster has
ANSWER = 10.0  # seconds that an address has to answer
HEALTH = 30.0  # seconds that a cluster has to say that it is well, with the start of a process
START = 120.0  # seconds that nodes have for the first look at them
STILLBORN = 10  # actors in a row that die before they are ready, after which no more are started
STORE_MEMORY = 80 * 2**20  # bytes, about the least that Ray takes: nothing large passes through its object store


@dataclass
class _Actor:
    """An actor, what it is asked now, and the task that is."""

    handle: Any
    asked: Any = None  # a reference to the answer; None where it is idle
    task: Job | None = None
    ready: bool = False


class RayExecutor(Executor):
    """Actors of Ray; one that dies is replaced and its task reported as failed. They join as the cluster grows."""

    def __init__(self, config: ExecutorConfig) -> None:
        if config.device == "mps":
            raise UserError("executor.device = mps: not on Ray", allowed="auto, cpu, cuda", todo="executor=local")
        self.config = config
        self._actors: list[_Actor] = []
        self._needs: dict[str, float] = {}
        self._room, self._looked = 0, 0.0
        self._expected = 0
        self._probe = "none"
        self._facts = ray_node.facts(PACKAGES)
        self._kinds: dict[str, str] = {}  # kind of machine -> a host of it
        self._stillborn = 0

    def __enter__(self) -> Self:
        self._connected = not ray.is_initialized()
        self._own = self._connected and _connect(self.config)
        config, gpus = self.config, any(node["Resources"].get("GPU") for node in self._nodes())
        resources = config.resources or {}
        cuda = config.device == "cuda" or (config.device == "auto" and (gpus or resources.get("GPU", 0) > 0))
        self.device = "cuda" if cuda else "cpu"
        self._needs = {"CPU": 1, **({"GPU": 1} if cuda else {}), **resources}
        self._look_at_cluster()
        if self.workers == 0:
            self.__exit__(None, None, None)
            raise UserError(
                f"executor.resources: no node of the cluster has {_words(self._needs)}",
                allowed="what `ray status` lists, for one worker",
                todo="executor.workers=NUMBER where an autoscaler would start such nodes",
            )
        cloudpickle.register_pickle_by_value(ray_node)
        needs = {**self._needs}
        options: dict[str, Any] = {"num_cpus": needs.pop("CPU"), "num_gpus": needs.pop("GPU", 0), "max_restarts": 0}
        options |= {"memory": needs.pop("memory")} if "memory" in needs else {}
        self._kind = ray.remote(ray_node.Actor).options(resources=needs, **options)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not ray.is_initialized():
            return
        self.abandon()
        for actor in self._actors:
            _kill(actor)
        self._actors = []
        if self._connected:
            ray.shutdown()

    @property
    def workers(self) -> int:
        return self.config.workers or self._room

    @property
    def alive(self) -> int:
        return sum(actor.ready for actor in self._actors)

    @property
    def machine(self) -> str:
        nodes = sum(self._fits(node) > 0 for node in self._nodes())
        return machine() if self._own else f"{nodes} nodes of a Ray cluster, {' and '.join(self._kinds) or 'none seen yet'}"

    @property
    def idle(self) -> int:
        return sum(actor.ready and actor.asked is None for actor in self._actors)

    def expect(self, tasks: int) -> None:
        self._expected = tasks

    def reach(self, locks: Locks) -> None:
        if self._own or Path(self._probe).exists():
            return
        lock = locks.acquire(f"use-{locks.me.pid}-{secrets.token_hex(4)}")  # kept until `locks` are closed: nodes may join
        assert lock is not None
        self._probe = str(lock.scratch)
        try:
            self._look_at_nodes()
        except BaseException:
            locks.close()
            raise

    def _look_at_nodes(self) -> None:
        """Raise UserError, before anything is sampled, if the nodes that have room for workers would not give the same."""
        once = ray.remote(num_cpus=0, max_retries=0)(ray_node.look)
        asked = {}
        for node in self._nodes():
            if self._fits(node):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                asked[once.options(scheduling_strategy=there).remote(self._facts, self._probe)] = node
        ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=START) if asked else ([], [])
        seen: list[tuple[Any, dict[str, Any]]] = []
        for ref in ready:
            with contextlib.suppress(RayError):  # the node has died since
                seen.append((asked[ref], ray.get(ref)))
        silent = [f"{asked[ref]['NodeManagerHostname']}: it starts no process within {START:.0f} s" for ref in late]
        _refuse([f"{look['host']}: {look['wrong']}" for _, look in seen if look["wrong"]] + silent)
        for node, look in seen:
            self._admit(self._kind_of(node, look["cpu"]), look["host"])

    def start(self, task: Job) -> None:
        actor = next(actor for actor in self._actors if actor.ready and actor.asked is None)
        actor.task = task
        actor.asked = actor.handle.do.remote(pickle.dumps(task))

    def wait(self, timeout: float | None) -> list[tuple[Any, Outcome]]:
        self._hire()
        asked = {actor.asked: actor for actor in self._actors if actor.asked is not None}
        seconds = LOOK if timeout is None else min(timeout, LOOK)
        if not asked:
            time.sleep(min(seconds, 0.5))
            return []
        ready, rest = ray.wait(list(asked), num_returns=1, timeout=seconds)
        if ready and rest:
            ready += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        done = []
        for ref in ready:
            actor = asked[ref]
            task, outcome = actor.task, self._answer(actor)
            if task is not None:
                done.append((task, outcome))
        return done

    def abandon(self) -> None:
        busy = [actor for actor in self._actors if actor.task is not None]
        for actor in busy:
            self._dismiss(actor)
        if busy:  # their locks are released next
            with contextlib.suppress(RayError):
                ray.wait([actor.asked for actor in busy], num_returns=len(busy), timeout=JOIN)

    def _answer(self, actor: _Actor) -> Outcome:
        """Return what came of what an actor was asked; an actor that cannot go on is dismissed."""
        ref, started = actor.asked, actor.task is None
        actor.asked = actor.task = None
        try:
            answer: Any = ray.get(ref)
        except RayError as error:
            self._dismiss(actor)
            why = _death(error)
            self._stillborn += started
            if self._stillborn >= STILLBORN:
                raise UnitsFailedError(
                    f"executor = ray: {STILLBORN} workers in a row ended before they were ready: {why}\n  do: ray logs"
                ) from error
            return Outcome(error=why)
        if started:
            _refuse([f"{answer['host']}: {answer['wrong']}"] if answer["wrong"] else [])
            if self.device == "cpu":
                self._admit(self._kind_of({"Resources": {}}, answer["cpu"]), answer["host"])
            actor.ready, self._stillborn = True, 0
            return Outcome()
        if answer.error and answer.again and self.device == "cuda":  # a CUDA error breaks its process for good
            self._dismiss(actor)
        return answer

    def _dismiss(self, actor: _Actor) -> None:
        _kill(actor)
        self._actors.remove(actor)

    def _hire(self) -> None:
        """Start actors up to what is wanted, or to what the cluster has room for by now."""
        if time.monotonic() - self._looked > LOOK:
            self._look_at_cluster()
        for _ in range(min(self.workers, self._expected) - len(self._actors)):
            handle: Any = self._kind.remote("cuda:0" if self.device == "cuda" else "cpu")
            self._actors.append(_Actor(handle, handle.look.remote(self._facts, self._probe)))

    def _look_at_cluster(self) -> None:
        self._looked = time.monotonic()
        self._room = sum(self._fits(node) for node in self._nodes())

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in ray.nodes() if node["Alive"]]

    def _fits(self, node: dict[str, Any]) -> int:
        """Return how many workers a node has room for."""
        has = node["Resources"]
        return int(min((has.get(name, 0) / amount for name, amount in self._needs.items() if amount), default=0))

    def _kind_of(self, node: dict[str, Any], cpu: str) -> str:
        """Return the kind of machine on which bytes are the same: the GPU, where there is one, else the processor."""
        types = [name.partition(":")[2] for name in node["Resources"] if name.startswith("accelerator_type:")]
        return ", ".join(types) if self.device == "cuda" else cpu

    def _admit(self, kind: str, host: str) -> None:
        """Raise UserError if this is another kind of machine than that of the workers before."""
        for other, there in self._kinds.items():
            if other != kind:
                raise UserError(
                    f"executor = ray: {host} is of another kind ({kind}) than {there} ({other}): the same items would differ",
                    todo="keep to one kind: executor.resources={NAME:0.001}, with a resource of those nodes alone",
                )
        self._kinds.setdefault(kind, host)


def _connect(config: ExecutorConfig) -> bool:
    """Connect to the cluster that is configured, or start Ray on this machine; return whether it was started."""
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    if address.startswith("ray://"):
        raise UserError(
            f"executor.address = {address}: the command holds the store's locks, so it has to run on a node",
            allowed="auto, HOST:PORT",
            todo="ray job submit -- python run.py executor=ray …, or log in on a node and use executor.address=auto",
        )
    own = address == "local"
    options: dict[str, Any] = {"runtime_env": dict(config.runtime_env)} if config.runtime_env else {}
    if own:
        wanted = int(-(-(config.workers or 0) * (config.resources or {}).get("CPU", 1) // 1))
        options |= {"num_cpus": max(cores(), wanted), "include_dashboard": False, "object_store_memory": STORE_MEMORY}
    else:
        _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to Ray's makers
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, so that anything else on the machine comes first
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"executor.address = {address}: {' '.join(str(error).split())}", todo=TODO) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's own would end the process without a word
    return own


TODO = "`ray status` on this machine shows its cluster; `ray start --head` starts one; executor.address=null is this machine"


def _knock(address: str) -> None:
    """Raise UserError if no Ray cluster answers: Ray itself would try for minutes, and then may end the process."""
    named = []
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise UserError(f"executor.address = {address}", allowed="auto, HOST:PORT", todo=TODO)
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
        except OSError as error:
            raise UserError(f"executor.address = {address}: it does not answer ({error})", todo=TODO) from error
        named = ["--address", address]
    check = [sys.executable, "-m", "ray.scripts.scripts", "health-check", *named]
    try:
        healthy = subprocess.run(check, capture_output=True, timeout=HEALTH, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise UserError(f"executor.address = {address}: no Ray cluster answers there", todo=TODO)


def _refuse(wrong: list[str]) -> None:
    """Raise UserError if nodes have something wrong, in one message."""
    if wrong:
        raise UserError(
            "executor = ray: not every node would give the same samples\n" + "\n".join(f"  {line}" for line in wrong),
            todo="give all nodes the same checkout and environment, and runs=FOLDER on a file system that they share",
        )


def _kill(actor: _Actor) -> None:
    with contextlib.suppress(RayError):
        ray.kill(actor.handle, no_restart=True)


def _death(error: RayError) -> str:
    """Return in a few words why an actor gave no answer."""
    if isinstance(error, OutOfMemoryError):
        return "its worker was ended by Ray: its node is out of memory"
    said = str(error)
    node = "node" in said and ("node died" in said or "node has died" in said or "node was terminated" in said)
    return "its node died" if node else f"its worker died ({' '.join(said.split())[:200]})"


def _words(needs: dict[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in needs.items())

"""executor=ray: the local executor's worker as an actor of Ray, on this machine or on a cluster.

Ray starts the actors, says when one has died, and gives back what a task returns: an outcome of a few bytes. Samples go
from the workers to the store, which the nodes share; the command holds the locks, as with the local executor.

With `executor.scoring` tasks that score have actors of their own. Where these and the samplers want the same room, those
that have work get it.
"""

from __future__ import annotations

import contextlib
import pickle
import secrets
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from s2g.config.schema import ExecutorConfig
from s2g.engine.environment import PACKAGES, machine
from s2g.engine.executors import ray_node
from s2g.engine.executors.executor import JOIN, Executor
from s2g.engine.executors.ray_connection import OutOfMemoryError, RayError, cloudpickle, connect, ray
from s2g.engine.executors.ray_nodes import Hands, look_at_nodes, nodes, refuse
from s2g.engine.worker import Job, Outcome
from s2g.errors import UnitsFailedError, UserError
from s2g.store.locks import Locks

LOOK = 5.0  # seconds between looks at what nodes the cluster has
STILLBORN = 10  # actors in a row that die before they are ready, after which no more are started


@dataclass
class _Actor:
    """An actor, what it is asked now, and the task that is."""

    handle: Any
    hands: Hands
    asked: Any = None  # a reference to the answer; None where it is idle
    task: Job | None = None
    ready: bool = False

    @property
    def idle(self) -> bool:
        return self.ready and self.asked is None


class RayExecutor(Executor):
    """Actors of Ray; one that dies is replaced and its task reported as failed. They join as the cluster grows."""

    def __init__(self, config: ExecutorConfig) -> None:
        if config.device == "mps":
            raise UserError("executor.device = mps: not on Ray", allowed="auto, cpu, cuda", todo="executor=local")
        self.config = config
        self._actors: list[_Actor] = []
        self._looked = 0.0
        self._expected = 0
        self._probe = "none"
        self._facts = ray_node.facts(PACKAGES)
        self._stillborn = 0

    def __enter__(self) -> Self:
        self._connected = not ray.is_initialized()
        self._own = self._connected and connect(self.config)
        config, gpus = self.config, any(node["Resources"].get("GPU") for node in nodes())
        resources = config.resources or {}
        cuda = config.device == "cuda" or (config.device == "auto" and (gpus or resources.get("GPU", 0) > 0))
        self.device = "cuda" if cuda else "cpu"
        self._samplers = self._scorers = Hands({"CPU": 1, **({"GPU": 1} if cuda else {}), **resources}, self.device)
        if config.scoring is not None:
            self._scorers = Hands({"CPU": 1, **config.scoring}, "cuda" if config.scoring.get("GPU") else "cpu")
        self._at_work = self._samplers  # whose tasks come
        self._given: dict[Hands, deque[Job]] = {hands: deque() for hands in (self._samplers, self._scorers)}
        self._look_at_cluster()
        for key, hands, room in (("resources", self._samplers, self.workers), ("scoring", self._scorers, self.scorers)):
            if room == 0:
                self.__exit__(None, None, None)
                raise UserError(
                    f"executor.{key}: no node of the cluster has {hands.words}",
                    allowed="what `ray status` lists, for one worker",
                    todo="executor.workers=NUMBER where an autoscaler would start such nodes",
                )
        cloudpickle.register_pickle_by_value(ray_node)
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
        return self.config.workers or self._room[self._samplers]

    @property
    def scorers(self) -> int:
        return self.workers if self._scorers is self._samplers else self._room[self._scorers]

    @property
    def alive(self) -> int:
        return sum(actor.ready for actor in self._actors)

    @property
    def machine(self) -> str:
        there, kinds = sum(self._samplers.fits(node) > 0 for node in nodes()), " and ".join(self._samplers.kinds)
        return machine() if self._own else f"{there} nodes of a Ray cluster, {kinds or 'none seen yet'}"

    @property
    def idle(self) -> int:
        return len(self._idle(self._at_work)) - len(self._given[self._at_work])

    def expect(self, tasks: int, scoring: bool = False) -> None:
        self._expected = tasks
        self._at_work = self._scorers if scoring else self._samplers
        for actor in [actor for actor in self._actors if actor.hands is not self._at_work]:
            self._dismiss(actor)  # nothing is left for it, and it holds what these may want

    def reach(self, locks: Locks) -> None:
        if self._own:  # on this machine there is nothing that workers could fail to see
            self._probe = str(locks.folder)
        if Path(self._probe).exists():
            return
        lock = locks.acquire(f"use-{locks.me.pid}-{secrets.token_hex(4)}")  # kept until `locks` are closed: nodes may join
        assert lock is not None
        self._probe = str(lock.scratch)
        try:
            look_at_nodes(list(self._given), self._facts, self._probe)
        except BaseException:
            locks.close()
            raise

    def start(self, task: Job) -> None:
        self._given[self._scorers if task.scoring else self._samplers].append(task)
        self._hand_out()

    def wait(self, timeout: float | None) -> list[tuple[Any, Outcome]]:
        self._hand_out()
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
        for given in self._given.values():
            given.clear()
        busy = [actor for actor in self._actors if actor.task is not None]
        for actor in busy:
            self._dismiss(actor)
        if busy:  # their locks are released next
            with contextlib.suppress(RayError):
                ray.wait([actor.asked for actor in busy], num_returns=len(busy), timeout=JOIN)

    def _idle(self, hands: Hands) -> list[_Actor]:
        return [actor for actor in self._actors if actor.idle and actor.hands is hands]

    def _hand_out(self) -> None:
        """Ask idle actors for what was given and nobody has begun."""
        for hands, given in self._given.items():
            for actor, _ in zip(self._idle(hands), range(len(given)), strict=False):
                actor.task = given.popleft()
                actor.asked = actor.handle.do.remote(pickle.dumps(actor.task))

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
            refuse([f"{answer['host']}: {answer['wrong']}"] if answer["wrong"] else [])
            actor.hands.admit(answer["cpu"], answer["host"])
            actor.ready, self._stillborn = True, 0
            return Outcome()
        if answer.error and answer.again and actor.hands.device == "cuda":  # a CUDA error breaks its process for good
            self._dismiss(actor)
        return answer

    def _dismiss(self, actor: _Actor) -> None:
        _kill(actor)
        self._actors.remove(actor)

    def _hire(self) -> None:
        """Start actors up to what is wanted, or to what the cluster has room for by now."""
        if time.monotonic() - self._looked > LOOK:
            self._look_at_cluster()
        up_to = {self._at_work: self._expected}
        if self._at_work is not self._scorers:  # runs are sampled, and some may be scored by now
            at_it = [actor for actor in self._actors if actor.hands is self._scorers and actor.task is not None]
            up_to = {self._scorers: len(self._given[self._scorers]) + len(at_it), **up_to}
            if self._given[self._scorers] and (idle := self._idle(self._samplers)):  # nothing is left for these: make room
                for actor in idle:
                    self._dismiss(actor)
                up_to[self._samplers] = self._expected = max(self._count(self._samplers), 1)  # a unit may come back
        for hands, most in up_to.items():
            for _ in range(min(self.workers if hands is self._samplers else self.scorers, most) - self._count(hands)):
                handle = hands.hire()
                self._actors.append(_Actor(handle, hands, handle.look.remote(self._facts, self._probe)))

    def _count(self, hands: Hands) -> int:
        return sum(actor.hands is hands for actor in self._actors)

    def _look_at_cluster(self) -> None:
        self._looked = time.monotonic()
        self._room = {hands: hands.room() for hands in self._given}


def _kill(actor: _Actor) -> None:
    with contextlib.suppress(RayError):
        ray.kill(actor.handle, no_restart=True)


def _death(error: Exception) -> str:
    """Return in a few words why an actor gave no answer."""
    if isinstance(error, OutOfMemoryError):
        return "its worker was ended by Ray: its node is out of memory"
    said = str(error)
    node = "node" in said and ("node died" in said or "node has died" in said or "node was terminated" in said)
    return "its node died" if node else f"its worker died ({' '.join(said.split())[:200]})"

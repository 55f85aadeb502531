"""The nodes of a Ray cluster: which have room for workers, and whether they would all give the same bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from s2g.engine.executors import ray_node
from s2g.engine.executors.ray_connection import RayError, ray
from s2g.errors import UserError

START = 120.0  # seconds that nodes have for the first look at them


def nodes() -> list[dict[str, Any]]:
    """Return the nodes that are up."""
    return [node for node in ray.nodes() if node["Alive"]]


@dataclass(eq=False)
class Hands:
    """Workers of one sort: what Ray reserves for each, and the kind of machine that they are on."""

    needs: Mapping[str, float]  # resource -> amount
    device: str  # cpu or cuda
    kinds: dict[str, str] = field(default_factory=dict)  # kind of machine -> a host of it

    @property
    def words(self) -> str:
        """What each needs, in words."""
        return ", ".join(f"{name} {amount:g}" for name, amount in self.needs.items())

    def room(self) -> int:
        """Return how many the cluster has room for."""
        return sum(self.fits(node) for node in nodes())

    def fits(self, node: Mapping[str, Any]) -> int:
        """Return how many a node has room for."""
        has = node["Resources"]
        return int(min((has.get(name, 0) / amount for name, amount in self.needs.items() if amount), default=0))

    def hire(self) -> Any:
        """Return an actor, which starts once there is room for what it needs."""
        needs = {**self.needs}
        options: dict[str, Any] = {"num_cpus": needs.pop("CPU", 0), "num_gpus": needs.pop("GPU", 0), "max_restarts": 0}
        options |= {"memory": needs.pop("memory")} if "memory" in needs else {}
        actors: Any = ray.remote(ray_node.Actor).options(resources=needs, **options)
        return actors.remote("cuda:0" if self.device == "cuda" else "cpu")

    def admit(self, cpu: str, host: str, node: Mapping[str, Any] | None = None) -> None:
        """Raise UserError if this is another kind of machine than that of the workers before.

        Bytes are the same on one kind: of GPU, where workers have one, else of processor. node: None where Ray chose it.
        """
        if self.device == "cuda" and node is None:
            return  # the node's own look has told
        there = () if node is None else node["Resources"]
        gpus = [name.partition(":")[2] for name in there if name.startswith("accelerator_type:")]
        kind = ", ".join(gpus) if self.device == "cuda" else cpu
        for other, where in self.kinds.items():
            if other != kind:
                raise UserError(
                    f"executor = ray: {host} is of another kind ({kind}) than {where} ({other}): the same items would differ",
                    todo="keep to one kind: executor.resources={NAME:0.001}, with a resource of those nodes alone",
                )
        self.kinds.setdefault(kind, host)


def look_at_nodes(sorts: Sequence[Hands], facts: Mapping[str, str], probe: str) -> None:
    """Raise UserError, before anything is sampled, if nodes that have room for workers would not give the same.

    facts, probe: as of `ray_node.look`.
    """
    once = ray.remote(num_cpus=0, max_retries=0)(ray_node.look)
    asked = {}
    for node in nodes():
        if any(hands.fits(node) for hands in sorts):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[once.options(scheduling_strategy=there).remote(facts, probe)] = node
    ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=START) if asked else ([], [])
    seen: list[tuple[Any, dict[str, Any]]] = []
    for ref in ready:
        with contextlib.suppress(RayError):  # the node has died since
            seen.append((asked[ref], ray.get(ref)))
    silent = [f"{asked[ref]['NodeManagerHostname']}: it starts no process within {START:.0f} s" for ref in late]
    refuse([f"{look['host']}: {look['wrong']}" for _, look in seen if look["wrong"]] + silent)
    for node, look in seen:
        for hands in sorts:
            if hands.fits(node):
                hands.admit(look["cpu"], look["host"], node)


def refuse(wrong: Sequence[str]) -> None:
    """Raise UserError if nodes have something wrong, in one message."""
    if wrong:
        raise UserError(
            "executor = ray: not every node would give the same samples\n" + "\n".join(f"  {line}" for line in wrong),
            todo="give all nodes the same checkout and environment, and runs=FOLDER on a file system that they share",
        )

"""Guidance methods that go wrong on purpose, in files of their own so that worker processes can import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from s2g.guidance.base import BaseMethod, State, Step
from s2g.network.branch import COND, Branch


@dataclass(frozen=True)
class Assigned:
    """A job that does another one, and notes the node and the resources that Ray gave it."""

    job: Any
    place: Path

    scoring: ClassVar[bool] = True

    def do(self, device: str) -> float:
        import ray  # pyright: ignore[reportMissingImports]  # an extra

        context = ray.get_runtime_context()
        self.place.write_text(f"{context.get_node_id()}\n{context.get_assigned_resources()}")
        return self.job.do(device)


@dataclass(frozen=True)
class Harmless(BaseMethod):
    """The conditional prediction alone."""

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND]


@dataclass(frozen=True)
class Killed(Harmless):
    """Its process is killed in `unit`, as often as `times` says; a folder counts."""

    unit: int = 1
    times: int = 1
    folder: str = ""

    def branches(self, step: Step) -> Sequence[Branch]:
        count = len(list(Path(self.folder).iterdir()))
        if step.draws.unit == self.unit and count < self.times:
            (Path(self.folder) / str(count)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (COND,)


@dataclass(frozen=True)
class Waits(Harmless):
    """Takes no unit from `unit` on before `gate` exists."""

    unit: int = 0
    gate: str = ""

    def branches(self, step: Step) -> Sequence[Branch]:
        while step.draws.unit >= self.unit and not Path(self.gate).exists():
            time.sleep(0.05)
        return (COND,)


@dataclass(frozen=True)
class Fails(Harmless):
    """Raises in the units it is told to."""

    units: tuple[int, ...] = (1,)
    error: str = "ValueError"

    def branches(self, step: Step) -> Sequence[Branch]:
        if step.draws.unit in self.units:
            raise {"ValueError": ValueError("no such luck"), "Memory": MemoryError("never enough")}[self.error]
        return (COND,)


@dataclass(frozen=True)
class Infinite(Harmless):
    """Leaves the finite numbers in the units it is told to."""

    units: tuple[int, ...] = (1,)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return preds[COND] * (torch.inf if step.draws.unit in self.units else 1)


@dataclass(frozen=True)
class Greedy(Harmless):
    """Runs out of memory, as a GPU does, in batches of more than `fits`; drops blocks, so that masks are drawn."""

    fits: int = 6

    def branches(self, step: Step) -> Sequence[Branch]:
        if len(step.x) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        step.draws.mask(0, 1, (0,))
        return (COND,)

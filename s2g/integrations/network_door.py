"""Guidance around a bare network, in a sampling loop of your own.

    with guide(network, S2(omega=0.25), scale=4.0) as guided:
        guided.begin(levels)
        for level, after in pairwise(levels):
            velocity = guided({"x": x, "t": level, "y": label}, {"x": x, "t": level, "y": none})
            x = x + (after - level) * velocity

A call takes the arguments of cond's and uncond's call of the network and returns the guided prediction. Passes, masks, prefix
reuse and its check are the engine's; cond and uncond are a call each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.guidance.base import Guidance, MaskSampler, Requirement, State, Step
from s2g.guidance.cfg import CFG
from s2g.integrations.diffusers.arguments import Call
from s2g.integrations.diffusers.layouts import TWO
from s2g.integrations.diffusers.method import check_branches, checked_seed, combined, fitted
from s2g.integrations.diffusers.network_calls import NetworkCalls
from s2g.integrations.diffusers.refusals import check_network
from s2g.integrations.unused import Unused
from s2g.models.base import Conditioning
from s2g.models.convention import Convention
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch, SmoothQueries
from s2g.network.evaluate import WEAK, Evaluator
from s2g.sampling.activity import check_acts
from s2g.sampling.base import WITHOUT

Arguments = Mapping[str, Any]
NAME = "network"


class NetworkDoor(Unused):
    """A network under guidance; a context manager. `masks` are those of the last run, by step."""

    def __init__(
        self,
        network: nn.Module,
        method: Guidance,
        scale: float | None = None,
        seed: int = 0,
        reuse: bool = True,
        weak: nn.Module | None = None,
    ) -> None:
        """scale: that of the method inside; None: as it is. seed: of the masks, the same in every run. reuse: resume edited
        passes. weak: the weaker network of Autoguidance; it is called with the same arguments."""
        check_network(NAME, network)
        self.method, self.seed = fitted(method, scale, CFG), checked_seed(seed)
        self.calls = NetworkCalls(network, network, TWO)
        other = None if weak is None else Evaluator(NetworkCalls(weak, weak, TWO))
        self.evaluator = Evaluator(self.calls, reuse, weak=other, verify=True)
        self.masks: list[dict[int, tuple[int, ...]]] = []
        self.levels: tuple[float, ...] = ()
        self.convention: Convention | None = None
        self._memory: State = {}
        self._open: ExitStack | None = None
        self.made()

    def __enter__(self) -> Self:
        with self.entered() as stack:
            check_network(NAME, self.calls.network)
            stack.enter_context(self.evaluator)
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._open is not None
        self._open.close()
        self._open, self.levels = None, ()
        if kind is None:
            self.left("guided(cond, uncond) was not called; a pipeline is guided as itself, not as its transformer")

    def begin(
        self, levels: Sequence[float], convention: Convention | None = None, offers: Collection[Requirement] = ()
    ) -> None:
        """Begin a run.

        levels: the noise levels of its steps, one more than there are steps, falling from 1 (noise) to 0 (data).
        convention: how the network's output and x relate (s2g.models.convention.Flow or VP); methods that combine denoised
        estimates or velocities need it. offers: what your steps are (s2g.guidance.base.Requirement), for methods that need
        more than a prediction, such as CFG++. UserError for levels that do not fall, and for a method that needs what is
        not there.
        """
        self.used()
        given = tuple(float(level) for level in levels)
        if len(given) < 2 or any(after >= level for level, after in pairwise(given)):
            raise UserError(f"levels = {list(given)}", allowed="two or more noise levels that fall from step to step")
        missing = self.method.needs - {Requirement.STEPS, *offers}
        for requirement in sorted(missing, key=lambda requirement: requirement.value):
            raise UserError(
                f"{type(self.method).__name__} needs {requirement.value}, and a loop of your own may have none: "
                f"{WITHOUT[requirement]}",
                todo=f"if its steps are such: begin(levels, offers=[Requirement.{requirement.name}])",
            )
        if convention is None and self.method.space is not Space.RAW:
            raise UserError(
                f"{type(self.method).__name__} works on {self.method.space.name.lower()} predictions, and how they follow from "
                "the network's output is not known",
                todo="begin(levels, convention=Flow()), or VP(), of s2g.models.convention",
            )
        check_acts(self.method, given, len(self.evaluator.control.blocks))
        self.levels, self.convention = given, convention
        self.masks, self._memory = [], self.method.start()

    @torch.no_grad()
    def __call__(self, cond: Arguments, uncond: Arguments | None = None) -> Tensor:
        """Return the guided prediction of the next step, in the dtype and shape of the network's own (its first output).

        cond, uncond: the arguments of the network's call by name, x as the first argument of its forward, the same in both;
        uncond may be left out where the method does not need it.
        """
        self.used()
        if self._open is None:
            raise UserError("the network is not under guidance", todo="with s2g.guide(network, method) as guided: ...")
        index = len(self.masks)
        if index + 1 >= len(self.levels):
            begun = f"{len(self.levels) - 1} steps were announced, and this is one more" if self.levels else "no run has begun"
            raise UserError(begun, todo="guided.begin(levels) before the first step of a run")
        x = self._x(cond, uncond)
        draws = MaskSampler(self.seed, 0, index, len(self.evaluator.control.blocks))
        level, after = self.levels[index : index + 2]
        step = Step(index, len(self.levels) - 1, level, after, level, 0, x, draws)
        branches = list(self.method.branches(step))
        check_branches(self.method, branches, x, self.evaluator.weak is not None, draws.num_blocks)
        if uncond is None and any(branch.condition == UNCOND.condition for branch in branches):
            raise UserError(f"{type(self.method).__name__} needs the unconditional prediction", todo="guided(cond, uncond)")
        if any(isinstance(branch.edit, SmoothQueries) for branch in branches):
            self.evaluator.control.grid = self.calls.grid(cond)
        guided = self._evaluated(branches, step, cond, uncond)
        self.masks.append(draws.drawn)
        return guided

    def _evaluated(self, branches: Sequence[Branch], step: Step, cond: Arguments, uncond: Arguments | None) -> Tensor:
        if not branches:  # no movement; a pass shows the shape of an output
            return torch.zeros_like(self.calls.plain(cond))
        given = {COND.condition: cond} | ({} if uncond is None else {UNCOND.condition: uncond})
        conditioning: dict[str, Conditioning] = {name: Call({}, arguments) for name, arguments in given.items()}
        if self.evaluator.weak is not None:
            conditioning |= {WEAK + name: call for name, call in conditioning.items()}
        done = self.evaluator(branches, step.x, step.level, conditioning)
        guided = combined(self.method, done.raw, step, self.convention, self._memory)
        return self.calls.joined(guided, done.variance.get(COND))

    def _x(self, cond: Arguments, uncond: Arguments | None) -> Tensor:
        """Return x [B, ...]; UserError unless it is the same tensor in both calls."""
        name = self.calls.first_name()
        for arguments in (cond, uncond) if uncond is not None else (cond,):
            if not isinstance(arguments.get(name), Tensor):
                raise UserError(
                    f"{type(self.calls.network).__name__}: its call has no tensor {name}, the first argument of its forward",
                    todo=f'name the arguments: guided({{"{name}": x, ...}}, {{"{name}": x, ...}})',
                )
            if arguments[name] is not cond[name]:
                raise UserError(f"{name} of cond and of uncond are two tensors", allowed="predictions at the same x")
        return cond[name]

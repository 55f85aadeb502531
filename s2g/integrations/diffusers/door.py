"""Guidance inside a classic pipeline: `with guide(pipe, S2(), scale=7.5): pipe(prompt)`.

The pipeline asks its network for cond and uncond. Both are answered with the guided prediction, so that its own CFG,
u + scale (c - u), has nothing left to do. Passes, prefix reuse, masks and methods are the engine's own; the arithmetic is
in fp32 and rounded once, whatever the network's dtype. Nothing in here waits for the device, save once at a run's start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.guidance.base import Guidance, MaskSampler, State, Step
from s2g.integrations.diffusers.arguments import Call, bound, half
from s2g.integrations.diffusers.layouts import Layout, layout_of
from s2g.integrations.diffusers.loop_marks import LoopMarks
from s2g.integrations.diffusers.method import check_branches, checked_seed, combined, fitted
from s2g.integrations.diffusers.network_calls import NetworkCalls
from s2g.integrations.diffusers.refusals import cfg_off, check_cache, check_call, check_network, check_pipeline
from s2g.integrations.diffusers.schedule import Schedule, check_fits, read_schedule
from s2g.integrations.unused import Unused
from s2g.models.base import Conditioning
from s2g.network.architectures import blocks_of
from s2g.network.attention import SLOT
from s2g.network.branch import COND, Branch, SmoothQueries
from s2g.network.evaluate import WEAK, Evaluation, Evaluator
from s2g.sampling.activity import check_acts


@dataclass
class Run:
    """One call of the pipeline: its schedule, where it stands, and the method's memory."""

    schedule: Schedule
    memory: State
    index: int = 0  # of the step under way
    calls: int = 0  # of the network, in this step
    evaluation: Evaluation | None = None
    conditioning: dict[str, Conditioning] = field(default_factory=dict)
    first: Tensor | None = None  # what the first of two calls was answered with; it is written over
    guided: Tensor | None = None  # the guided prediction of this step
    masks: list[dict[int, tuple[int, ...]]] = field(default_factory=list)


class PipelineDoor(Unused):
    """A pipeline under guidance; a context manager. `masks` are those of the last run, by step."""

    def __init__(
        self,
        pipeline: Any,
        method: Guidance,
        scale: float | None = None,
        seed: int = 0,
        reuse: bool = True,
        weak: nn.Module | None = None,
    ) -> None:
        """scale: that of the method inside; None: as it is. seed: of the masks, the same in every run of the pipeline.
        reuse: resume edited passes. weak: the weaker network of Autoguidance."""
        check_pipeline(pipeline)
        self.pipeline, self.seed = pipeline, checked_seed(seed)
        self.layout: Layout = layout_of(pipeline)
        self.method = fitted(method, scale, self.layout.own)
        components = {name: getattr(pipeline, name, None) for name in self.layout.networks}
        self.networks: dict[str, Any] = {name: network for name, network in components.items() if network is not None}
        self.reuse, self.weak = reuse, weak
        self.run: Run | None = None
        self._open: ExitStack | None = None
        self.made()

    @property
    def masks(self) -> list[dict[int, tuple[int, ...]]]:
        """The masks of the last run: by step, mask number to dropped blocks."""
        return [] if self.run is None else self.run.masks

    def __enter__(self) -> Self:
        with self.entered() as stack:
            for name, network in self.networks.items():
                check_network(f"pipe.{name}", network)
            for name, network in self.networks.items():
                calls = NetworkCalls(network, network._call_impl, self.layout)
                apart = replace(self.layout, passes="separate")
                weak = None if self.weak is None else Evaluator(NetworkCalls(self.weak, self.weak, apart))
                evaluator = stack.enter_context(Evaluator(calls, self.reuse, weak=weak, verify=True))
                stack.callback(setattr, network, SLOT, getattr(network, SLOT))
                setattr(network, SLOT, self._answering(name, evaluator, calls))
            stack.enter_context(LoopMarks(self.pipeline, self._begin, self._stepped))
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._open is not None
        self._open.close()
        self._open = None
        if kind is None:
            self.left(f"this {type(self.pipeline).__name__} was not called")

    # The pipeline's loop, as it shows from outside: it begins, calls its network, and steps.

    def _begin(self, steps: int) -> None:
        """A loop of `steps` steps begins."""
        self.used()
        for name, network in self.networks.items():
            check_cache(f"pipe.{name}", network)
        if getattr(self.pipeline, "do_classifier_free_guidance", True) is False:
            raise cfg_off(self.pipeline, self.networks)
        schedule = read_schedule(self.pipeline.scheduler, steps, self.layout.sign)
        check_fits(self.method, schedule, self.pipeline.scheduler)
        check_acts(self.method, schedule.levels, len(blocks_of(next(iter(self.networks.values())))))
        self.run = Run(schedule, self.method.start())

    def _answering(self, name: str, evaluator: Evaluator, calls: NetworkCalls) -> Callable[..., Any]:
        """Return what stands in for one network's call."""

        def call(*args: Any, **kwargs: Any) -> Any:
            run = self.run
            if run is None:
                raise UserError(f"pipe.{name} was called outside of a run of {type(self.pipeline).__name__}")
            arguments = bound(calls.network, args, kwargs)
            check_call(arguments)
            if run.index >= run.schedule.steps:
                raise UserError(f"{type(self.pipeline).__name__} takes more than the {run.schedule.steps} steps it announced")
            run.calls += 1
            answer = self._batched if self.layout.passes == "batched" else self._separate
            return calls.wrapped(answer(run, evaluator, calls, arguments), arguments)

        call.guided_by_s2g = True  # type: ignore[attr-defined]
        return call

    def _batched(self, run: Run, evaluator: Evaluator, calls: NetworkCalls, arguments: Mapping[str, Any]) -> Tensor:
        """Answer a call that holds both conditions."""
        rows = calls.rows(arguments)
        # Asked at every step, since a callback may switch it off: an even number of items would pass for two conditions.
        off = rows % 2 or getattr(self.pipeline, "do_classifier_free_guidance", True) is False
        if off or run.calls > 1:
            raise cfg_off(self.pipeline, self.networks, run.index) if off else self._too_many()
        if run.index == 0 and not hasattr(type(self.pipeline), "do_classifier_free_guidance"):
            latents = calls.latents(arguments)
            if not torch.equal(*latents.chunk(2)):  # rows of other items: nothing tells this pipeline's CFG otherwise
                raise cfg_off(self.pipeline, self.networks)
        calls.whole = arguments
        halves = {name: half(arguments, rows, place) for place, name in enumerate(self.layout.order)}
        self._start(run, evaluator, calls, halves[COND.condition])
        evaluation = run.evaluation
        if evaluation is None:
            return calls.still(arguments)
        conditioning = {name: Call({}, given) for name, given in halves.items()}
        for group in evaluator.groups(evaluation.plain):
            evaluation.run(group, self._with_weak(conditioning))
        guided = self._finish(run, evaluator, calls, conditioning)
        return torch.cat([guided, guided])

    def _separate(self, run: Run, evaluator: Evaluator, calls: NetworkCalls, arguments: Mapping[str, Any]) -> Tensor:
        """Answer one of two calls: the first with its own prediction, which the second turns into the guided one."""
        if run.calls > len(self.layout.order):
            raise self._too_many()
        branch = Branch(self.layout.order[run.calls - 1])
        if run.calls == 1:
            run.conditioning = {}
            self._start(run, evaluator, calls, arguments)
        run.conditioning[branch.condition] = Call({}, arguments)
        evaluation = run.evaluation
        if evaluation is None:
            return calls.still(arguments)
        first = run.calls == 1
        if branch in evaluation.plain:
            evaluation.run([branch], self._with_weak(run.conditioning))
        if first:
            # Its shape is the prediction's; where the method does not need this condition, any prediction's.
            plain = evaluation.done.raw.get(branch)
            prediction = calls.plain(arguments) if plain is None else calls.joined(plain, evaluation.done.variance.get(branch))
            run.first = prediction
            return prediction
        guided = self._finish(run, evaluator, calls, run.conditioning)
        assert run.first is not None
        run.first.copy_(guided)  # the pipeline holds this very tensor as its other prediction
        return guided

    def _start(self, run: Run, evaluator: Evaluator, calls: NetworkCalls, arguments: Mapping[str, Any]) -> None:
        """Ask the method for its branches of this step; none: it stands still."""
        levels, index = run.schedule.levels, run.index
        draws = MaskSampler(self.seed, 0, index, len(evaluator.control.blocks))
        x = calls.latents(arguments)
        self.step = Step(index, run.schedule.steps, levels[index], levels[index + 1], levels[index], 0, x, draws)
        branches = list(self.method.branches(self.step))
        run.masks.append(draws.drawn)
        check_branches(self.method, branches, x, self.weak is not None, draws.num_blocks)
        if any(isinstance(branch.edit, SmoothQueries) for branch in branches):
            evaluator.control.grid = calls.grid(arguments)
        if not branches:
            run.evaluation = None
            return
        run.evaluation = evaluator.begin(branches, x, levels[index])

    def _finish(self, run: Run, evaluator: Evaluator, calls: NetworkCalls, conditioning: Mapping[str, Conditioning]) -> Tensor:
        """Return the guided prediction in the network's dtype, with cond's variance channels where it has them."""
        assert run.evaluation is not None
        done = run.evaluation.finish(self._with_weak(conditioning))
        guided = combined(self.method, done.raw, self.step, run.schedule.convention, run.memory)
        run.evaluation = None
        run.guided = calls.joined(guided, done.variance.get(COND))
        return run.guided

    def _stepped(self, prediction: Tensor) -> None:
        """The scheduler is given a prediction: the step ends."""
        run = self.run
        if run is None or run.calls == 0:
            return
        if self.layout.passes == "separate" and run.calls == 1:
            raise cfg_off(self.pipeline, self.networks, run.index)
        if run.index == 0 and run.guided is not None:
            check_taken(type(self.pipeline).__name__, prediction, run.guided)
        run.index, run.calls, run.first, run.guided = run.index + 1, 0, None, None

    def _with_weak(self, conditioning: Mapping[str, Conditioning]) -> Mapping[str, Conditioning]:
        return conditioning if self.weak is None else {**conditioning, **{WEAK + k: v for k, v in conditioning.items()}}

    def _too_many(self) -> UserError:
        return UserError(
            f"{type(self.pipeline).__name__} called its network more often in a step than its layout says ({self.layout})",
            todo="switch off other guidance of the pipeline (PAG, SLG, STG), or register its layout",
        )


def check_taken(name: str, prediction: Tensor, guided: Tensor) -> None:
    """Raise UserError unless what the scheduler is given is the guided prediction, up to sign, batch and variance channels.

    A pipeline that keeps a copy of its first prediction would mix it with the guided one. Asked once a run, since it waits
    for the device; a prediction of another shape is left alone: there is nothing to hold it against.
    """
    rows = min(prediction.shape[0], guided.shape[0])
    given, meant = prediction[:rows], guided[:rows]
    if given.ndim == meant.ndim and given.ndim > 3:
        meant = meant[:, : given.shape[1]]
    if given.shape != meant.shape:
        return
    given, meant = given.float(), meant.float()
    tolerance = 1e-4 if guided.dtype == torch.float32 else 2e-2
    error = min((given - meant).abs().max(), (given + meant).abs().max())
    if error > tolerance * meant.abs().max():
        raise UserError(
            f"{name} did not take the guided prediction: what it gives its scheduler differs from it by {float(error):.2g}",
            todo="its layout is another one, or it rescales: register its layout with its own form of CFG",
        )

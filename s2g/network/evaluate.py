"""The branches of a step, evaluated in as little work as possible.

cond and uncond go through the network in one batch where the model's stock pipeline does so. An edited branch is the
plain branch up to its first edited block: the plain pass keeps the state that enters there, the edited pass recomputes
the embeddings and resumes. It then costs only the blocks that follow; masks that begin alike share those, too (forks.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from s2g.errors import UserError
from s2g.models.base import Conditioning, Denoiser, Output
from s2g.network.blocks import State
from s2g.network.branch import AttentionEdit, Branch, Edit, NormalizedAttention, WeakModel
from s2g.network.control import BlockControl, Pass
from s2g.network.forks import Point, turns
from s2g.network.reuse_check import VERDICTS, check_points, holds
from s2g.network.watch import BlockWatch, check_order

OTHER_TEXT = "cond with uncond's text"
WEAK = "weak/"  # before the conditions of the weaker network


@dataclass
class Account:
    """What was asked of the network: evaluations and runs of each block per item, calls, and the time they took.

    A block whose attention is edited counts as one run, although attending only to oneself would need less.
    """

    evaluations: int = 0
    calls: int = 0
    blocks: dict[int, int] = field(default_factory=dict)
    _seconds: float = 0.0
    _events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = field(default_factory=list)

    def add(self, ran: Iterable[int], branches: int) -> None:
        """Add one network call that served `branches` branches and ran these blocks."""
        self.evaluations += branches
        self.calls += 1
        for index in ran:
            self.blocks[index] = self.blocks.get(index, 0) + branches

    @contextmanager
    def timed(self, device: torch.device) -> Iterator[None]:
        """Time a network call. A GPU is queried at the end only, so that nothing waits for it in between."""
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._events.append((begin, end))
        else:
            began = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - began

    def network_seconds(self) -> float:
        """Return the seconds spent inside the network."""
        if self._events:
            torch.cuda.synchronize()
        return self._seconds + sum(begin.elapsed_time(end) for begin, end in self._events) / 1000


def copies(x: Tensor, count: int) -> Tensor:
    """Return x [B, ...] as often as the branches of a call: [count B, ...], x itself for one."""
    return x if count == 1 else torch.cat([x] * count)


class Inputs:
    """Batches of conditions, built once: they are the same at every step of a unit."""

    def __init__(self) -> None:
        self._of: list[Conditioning] = []
        self._built: dict[tuple[str, ...], Conditioning] = {}

    def batch(self, names: Sequence[str], conditioning: Mapping[str, Conditioning]) -> Conditioning:
        """Return conditions joined in this order; "mid" and OTHER_TEXT are made of cond and uncond."""
        given = list(conditioning.values())
        if len(given) != len(self._of) or any(now is not then for now, then in zip(given, self._of, strict=True)):
            self._of, self._built = given, {}
        key = tuple(names)
        if key not in self._built:
            self._built[key] = Conditioning.cat([self._one(name, conditioning) for name in names])
        return self._built[key]

    @staticmethod
    def _one(name: str, conditioning: Mapping[str, Conditioning]) -> Conditioning:
        if name in conditioning:
            return conditioning[name]
        cond, uncond = conditioning["cond"], conditioning["uncond"]
        return cond.with_text_of(uncond) if name == OTHER_TEXT else cond.halfway(uncond)


@dataclass(frozen=True)
class Predictions:
    """Raw predictions in fp32 by branch, and DiT's variance where a model has one."""

    raw: dict[Branch, Tensor]
    variance: dict[Branch, Tensor]


class Evaluator:
    """Evaluates branches of one network; a context manager, since the blocks are under control meanwhile."""

    def __init__(
        self,
        network: Denoiser,
        reuse: bool = True,
        account: Account | None = None,
        weak: Evaluator | None = None,
        verify: bool = False,
    ) -> None:
        """verify: see once whether reuse holds, for a network that no test of ours knows."""
        self.network = network
        self.verify = verify
        self.weak = weak  # evaluates the branches of another, weaker network
        self.reuse = reuse
        self.account = account or Account()
        self.inputs = Inputs()
        self.unseen = True  # until the first plain pass, which shows whether the blocks are what they are said to be
        self.control = BlockControl(network.blocks, grid=network.token_grid)

    def __enter__(self) -> Self:
        self.control.__enter__()
        if self.weak is not None:
            self.weak.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.weak is not None:
            self.weak.__exit__(kind, error, trace)
        self.control.__exit__(kind, error, trace)

    def encode(self, prompts: Sequence[Any]) -> dict[str, Conditioning]:
        """Return conditionings of B prompts by condition; those of the weaker network under "weak/"."""
        weak = {} if self.weak is None else self.weak.network.encode(prompts)
        return {**self.network.encode(prompts), **{WEAK + name: conditioning for name, conditioning in weak.items()}}

    def __call__(
        self,
        branches: Sequence[Branch],
        x: Tensor,
        level: float,
        conditioning: Mapping[str, Conditioning],
        timestep: Tensor | None = None,
    ) -> Predictions:
        """Evaluate each distinct branch at x [B, ...] and noise level `level`: predictions [B, ...]."""
        evaluation = self.begin(branches, x, level, timestep)
        for group in self.groups(evaluation.plain):
            evaluation.run(group, conditioning)
        return evaluation.finish(conditioning)

    def begin(self, branches: Sequence[Branch], x: Tensor, level: float, timestep: Tensor | None = None) -> Evaluation:
        """Begin an evaluation whose plain branches come one call at a time, as somebody else's loop asks for them."""
        return Evaluation(self, tuple(dict.fromkeys(branches)), x, level, timestep)

    def _against_the_text(
        self,
        edit: NormalizedAttention,
        x: Tensor,
        level: float,
        conditioning: Mapping[str, Conditioning],
        timestep: Tensor | None,
    ) -> Tensor:
        """Evaluate cond under `edit`: one call with both texts, of which the first half is wanted."""
        if not conditioning["cond"].texts:
            raise UserError(
                "guidance = nag: this network reads no text, so there is no negative text to be led away from",
                allowed="models of texts",
            )
        both = self.inputs.batch(("cond", OTHER_TEXT), conditioning)
        return self.call(Pass(edit.dropped, edit), 2, copies(x, 2), level, both, timestep).prediction.float().chunk(2)[0]

    def _weak(
        self, away: list[Branch], x: Tensor, level: float, conditioning: Mapping[str, Conditioning], timestep: Tensor | None
    ) -> dict[Branch, Tensor]:
        """Evaluate the weaker network's branches, as plain branches of its own."""
        if self.weak is None:
            raise RuntimeError(
                f"{away[0]}: there is no weaker network here; give one: Evaluator(network, weak=Evaluator(other))"
            )
        weak_conditioning = {name.removeprefix(WEAK): value for name, value in conditioning.items() if name.startswith(WEAK)}
        raw = self.weak([Branch(branch.condition) for branch in away], x, level, weak_conditioning, timestep).raw
        return {branch: raw[Branch(branch.condition)] for branch in away}

    def groups(self, plain: list[Branch]) -> list[list[Branch]]:
        """Group plain branches as the stock pipeline does: one batch in its order, or one call each."""
        order = self.network.order
        ordered = sorted((b for b in plain if b.condition in order), key=lambda branch: order.index(branch.condition))
        stock = [ordered] if ordered and self.network.passes == "batched" else [[branch] for branch in ordered]
        return [*stock, *([branch] for branch in plain if branch.condition not in order)]

    def call(self, work: Pass, copies: int, x: Tensor, level: float, inputs: Conditioning, timestep: Tensor | None) -> Output:
        """Call the network once, for `copies` branches in one batch."""
        if timestep is not None and timestep.ndim > 0:
            timestep = timestep.repeat(copies)
        with self.control.during(work), self.account.timed(x.device):
            output = self.network.forward(x, level, inputs, timestep)
        self.account.add(work.ran, copies)
        return output


@dataclass
class Evaluation:
    """One step's branches under way: plain branches in one call or several, then the edited ones, which resume from them."""

    evaluator: Evaluator
    branches: tuple[Branch, ...]
    x: Tensor
    level: float
    timestep: Tensor | None
    done: Predictions = field(default_factory=lambda: Predictions({}, {}))
    recorded: dict[Point, State] = field(default_factory=dict)

    @property
    def plain(self) -> list[Branch]:
        """The unedited branches of the network itself."""
        return [branch for branch in self.branches if branch.edit is None]

    @property
    def edited(self) -> list[tuple[Branch, Edit]]:
        """The edited branches of the network itself, with their edits."""
        found = [(branch, branch.edit) for branch in self.branches]
        return [(branch, edit) for branch, edit in found if edit is not None and not isinstance(edit, WeakModel)]

    @torch.no_grad()
    def run(self, group: Sequence[Branch], conditioning: Mapping[str, Conditioning]) -> None:
        """Evaluate plain branches in one call, and keep the states at which edited passes of their conditions fork off."""
        conditions = [branch.condition for branch in group]
        forks = {(b.condition, min(edit.touched)) for b, edit in self.edited if edit.touched} if self.evaluator.reuse else set()
        work = Pass(record=frozenset(start for condition, start in forks if condition in conditions))
        work.watch = BlockWatch() if self.evaluator.unseen else None
        points = self._check_points() if work.record else frozenset()
        work.record |= points
        inputs = self.evaluator.inputs.batch(conditions, conditioning)
        x = copies(self.x, len(group))
        output = self.evaluator.call(work, len(group), x, self.level, inputs, self.timestep)
        if work.watch is not None:
            check_order(work.ran, self.evaluator.control.blocks)
            self.evaluator.unseen = False
        self.done.raw.update(zip(group, output.prediction.float().chunk(len(group)), strict=True))
        if output.variance is not None:
            self.done.variance.update(zip(group, output.variance.float().chunk(len(group)), strict=True))
        if points:
            self._check_reuse(output.prediction, {block: work.kept[block] for block in points}, inputs, len(group))
        for start, state in work.kept.items() if self.evaluator.reuse else ():
            halves = zip(*(tensor.chunk(len(group)) for tensor in state), strict=True)
            self.recorded.update({(name, (), start): half for name, half in zip(conditions, halves, strict=True)})

    def _check_points(self) -> frozenset[int]:
        """Return at which blocks reuse is to be checked; none where it need not be, or has been."""
        verdict = VERDICTS.get(self.evaluator.network.network)
        if not self.evaluator.verify or verdict is True:
            return frozenset()
        if verdict is False:
            self.evaluator.reuse = False
            return frozenset()
        return check_points(len(self.evaluator.control.blocks))

    def _check_reuse(self, plain: Tensor, kept: Mapping[int, State], inputs: Conditioning, count: int) -> None:
        """Resume the plain pass that has just been made, unedited; make edited passes whole from now on if it differs."""
        evaluator, x = self.evaluator, copies(self.x, count)

        def resumed(block: int, state: State) -> Tensor:
            return evaluator.call(Pass(resume=(block, state)), count, x, self.level, inputs, self.timestep).prediction

        evaluator.reuse = holds(evaluator.network.network, plain, kept, resumed)

    @torch.no_grad()
    def finish(self, conditioning: Mapping[str, Conditioning]) -> Predictions:
        """Evaluate the edited branches and those of the weaker network; return the predictions of all."""
        edited, led = [], []
        for branch, edit in self.edited:
            (led if isinstance(edit, NormalizedAttention) else edited).append((branch, edit))
        for branch, edit in led:
            guided = self.evaluator._against_the_text(edit, self.x, self.level, conditioning, self.timestep)
            self.done.raw[branch] = guided
        ordered = turns(edited, self.recorded, share=self.evaluator.reuse)
        for place, turn in enumerate(ordered):
            resume = None if turn.resume is None else (turn.resume[2], self.recorded[turn.resume])
            inside = turn.edit if isinstance(turn.edit, AttentionEdit) else None
            work = Pass(turn.edit.dropped, inside, turn.record, resume)
            given = conditioning[turn.branch.condition]
            output = self.evaluator.call(work, 1, self.x, self.level, given, self.timestep)
            self.done.raw[turn.branch] = output.prediction.float()
            self.recorded.update({turn.point(block): state for block, state in work.kept.items()})
            still = {later.resume for later in ordered[place + 1 :]}
            self.recorded = {point: state for point, state in self.recorded.items() if point in still}
        away = [branch for branch in self.branches if isinstance(branch.edit, WeakModel)]
        if away:
            self.done.raw.update(self.evaluator._weak(away, self.x, self.level, conditioning, self.timestep))
        return self.done

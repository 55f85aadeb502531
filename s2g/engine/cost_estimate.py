"""Estimate the cost of a run before its weights exist.

Method, sampler, evaluator and masks are the run's own; the network is a stand-in with as many blocks and a
meaningless output. The cost of the real network's passes is counted on the meta device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from s2g.config.schema import ModelConfig, canonical
from s2g.engine.cost import PassCost
from s2g.engine.resolve import Outline
from s2g.engine.run import describe
from s2g.io.one_thread import one_thread
from s2g.models.base import Conditioning, Denoiser, Output
from s2g.models.convention import VP, Convention, Flow
from s2g.network.blocks import register_block
from s2g.network.branch import NormalizedAttention
from s2g.network.control import Pass
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.loop import sample
from s2g.sampling.unit import Unit

MASKS = 200  # least number of counted steps with masks: the cost of a mask depends on its first block


@dataclass(frozen=True)
class Expected:
    """The expected cost of an item, a mean over the masks drawn."""

    evaluations: float  # of the model's own network
    flops: float  # with prefix reuse unless stated otherwise
    weak: float  # evaluations of a second network


@dataclass(frozen=True)
class _Counted:
    """The evaluations of `units` items, for a network of any size."""

    units: int
    account: Account
    weak: int  # evaluations of a second network


class _Block(nn.Module):
    """Add a number of its own: as little as a block can do and still be missed when it is dropped."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


register_block(_Block, state=["x"], returns=["x"])


class _StandIn:
    """A network of the model's depth and no size: noisy latents [B, C, 8, 8], the class as a number."""

    order = ("cond", "uncond")
    token_grid = (8, 8)

    def __init__(self, model: ModelConfig) -> None:
        self.blocks = [_Block(0.01 * index) for index in range(1, model.blocks + 1)]
        self.network = nn.ModuleList(self.blocks)
        self.latent_shape = (max(4, model.channels or 0), 8, 8)
        self.passes = model.passes
        self.convention: Convention = Flow() if _is_flow(model) else VP()

    def encode(self, prompts: Sequence[Any]) -> dict[str, Conditioning]:
        numbers = torch.ones(len(prompts), 1, 1, 1)
        return {"cond": Conditioning({"class": numbers}), "uncond": Conditioning({"class": 0 * numbers})}

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        for block in self.blocks:
            x = block(x)
        return Output(torch.tanh(x + conditioning.tensors["class"]))


def _stand_in(model: ModelConfig) -> Denoiser:
    """Return a stand-in as what evaluators take; nothing is decoded here."""
    made: Any = _StandIn(model)
    return made


class _StandInEvaluator(Evaluator):
    """Evaluates a stand-in, which has neither attention nor text: edits of them are counted and not made."""

    def call(self, work: Pass, copies: int, x: Tensor, level: float, inputs: Conditioning, timestep: Tensor | None) -> Output:
        return super().call(replace(work, inside=None), copies, x, level, inputs, timestep)

    def _against_the_text(
        self,
        edit: NormalizedAttention,
        x: Tensor,
        level: float,
        conditioning: Mapping[str, Conditioning],
        timestep: Tensor | None,
    ) -> Tensor:
        both = Conditioning.cat([conditioning["cond"], conditioning["uncond"]])
        return self.call(Pass(edit.dropped), 2, torch.cat([x, x]), level, both, timestep).prediction.float().chunk(2)[0]


_COUNTED: dict[str, _Counted] = {}  # by all that they depend on


def expected_cost(run: Outline, cost: PassCost, reuse: bool = True) -> Expected:
    """Return the evaluations and FLOPs of an item of a run; cost: the FLOPs of a pass.

    An adaptive solver is counted with the steps it takes on the stand-in, which is smooth: a lower bound.
    """
    depends_on = [_stands_for(run.model), describe(run.guidance), describe(run.sampler), run.settings.mask_seed, reuse]
    key = canonical(depends_on)
    if key not in _COUNTED:
        _COUNTED[key] = _count(run, reuse)
    counted = _COUNTED[key]
    account, units = counted.account, counted.units
    return Expected(account.evaluations / units, cost.of(account) / units, counted.weak / units)


@one_thread()  # thousands of tiny products
def _count(run: Outline, reuse: bool) -> _Counted:
    stand_in, weaker = _stand_in(run.model), None if run.guidance.weaker is None else _stand_in(run.model)
    account, weak = Account(), Account()
    other = None if weaker is None else Evaluator(weaker, account=weak)
    steps, units = 0, 0
    with _StandInEvaluator(stand_in, reuse, account, other) as evaluator, torch.inference_mode():
        conditioning = evaluator.encode([0])
        conditioning["mid"] = conditioning["cond"]  # of a text, which it has not
        while True:
            unit = Unit(units, (units,), 0, run.settings.mask_seed)
            sampled = sample(evaluator, run.guidance, run.sampler, conditioning, unit)
            masked = sum(bool(masks) for masks in sampled.masks)
            steps, units = steps + masked, units + 1
            if masked == 0 or steps >= MASKS:
                break
    return _Counted(units, account, weak.evaluations)


def _stands_for(model: ModelConfig) -> list[Any]:
    """Return all that a model's stand-in depends on; SD3 and SD3.5 share one."""
    return [model.blocks, max(4, model.channels or 0), model.passes, _is_flow(model)]


def _is_flow(model: ModelConfig) -> bool:
    return model.sampler.get("grid", "flow") == "flow"

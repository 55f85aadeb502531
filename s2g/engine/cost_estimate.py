"""What a run will ask of its network, counted before there are weights.

The method, the sampler, the evaluator and the masks are the run's own; the network is a narrow stand-in with as many
blocks, whose output means nothing. What the real network's passes cost is counted on the meta device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from s2g.config.schema import ModelConfig, canonical
from s2g.engine.cost import PassCost, measure
from s2g.engine.resolve import Outline
from s2g.engine.run import describe
from s2g.io.one_thread import one_thread
from s2g.models.base import Denoiser
from s2g.models.convention import VP
from s2g.models.meta_models import meta_model
from s2g.models.sit import SiT, SiTDenoiser, initialise
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.loop import sample
from s2g.sampling.unit import Unit

MASKS = 200  # at least so many steps are counted: what a mask costs depends on its first block


@dataclass(frozen=True)
class Expected:
    """Per item, as a mean over the masks that were drawn."""

    evaluations: float  # of the model's own network
    flops: float  # with prefix reuse, if not said otherwise
    weak: float  # evaluations of a second network


@dataclass(frozen=True)
class _Counted:
    """What is called for `units` items, however large the network is."""

    units: int
    account: Account
    weak: int  # evaluations of a second network


_COUNTED: dict[str, _Counted] = {}  # by all that it depends on


def full_pass(model: ModelConfig) -> PassCost:
    """FLOPs of one forward pass of the network, as its folder describes it or else as the configuration does, by block."""
    network = meta_model(model.as_found())
    with torch.no_grad():
        return measure(network.network, network.blocks, network.call)


def rehearse(run: Outline, cost: PassCost, reuse: bool = True) -> Expected:
    """Evaluations and FLOPs of an item of a run, each pass at what `cost` says.

    A solver that chooses its own steps is counted with those it takes on the stand-in, which is smooth: a lower bound.
    """
    depends_on = [_stands_for(run.model), describe(run.guidance), describe(run.sampler), run.settings.mask_seed, reuse]
    key = canonical(depends_on)
    if key not in _COUNTED:
        _COUNTED[key] = _rehearsed(run, reuse)
    counted = _COUNTED[key]
    account, units = counted.account, counted.units
    return Expected(account.evaluations / units, cost.of(account) / units, counted.weak / units)


@one_thread()  # thousands of tiny products
def _rehearsed(run: Outline, reuse: bool) -> _Counted:
    stand_in, account, weak = _stand_in(run.model), Account(), Account()
    other = Evaluator(_stand_in(run.model), account=weak) if run.guidance.weaker is not None else None
    steps, units = 0, 0
    with Evaluator(stand_in, reuse, account, other) as evaluator, torch.inference_mode():
        conditioning = evaluator.encode([0])
        while True:
            unit = Unit(units, (units,), 0, run.settings.mask_seed)
            sampled = sample(evaluator, run.guidance, run.sampler, conditioning, unit)
            masked = sum(bool(masks) for masks in sampled.masks)
            steps, units = steps + masked, units + 1
            if masked == 0 or steps >= MASKS:
                break
    return _Counted(units, account, weak.evaluations)


def _stands_for(model: ModelConfig) -> list[Any]:
    """All of a model that its stand-in depends on: SD3 and SD3.5 have the same."""
    return [model.blocks, max(4, model.channels or 0), model.passes, model.sampler.get("grid", "flow") == "flow"]


def _stand_in(model: ModelConfig) -> Denoiser:
    """A SiT of the model's depth, 8 wide, 16 tokens: it runs thousands of passes in seconds."""
    channels = max(4, model.channels or 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SiT(size=8, patch=2, channels=channels, width=8, depth=model.blocks, heads=2, num_classes=1).eval()
        initialise(network)
        torch.nn.init.normal_(network.final_layer.linear.weight, std=0.1)  # else cond and uncond are both zero
    made: Denoiser = SiTDenoiser(network, 8, channels, model.passes)  # type: ignore[assignment]
    if model.sampler.get("grid", "flow") != "flow":
        made.convention = VP()
    return made

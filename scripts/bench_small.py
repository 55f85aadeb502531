"""What the bench measures on a CPU alone: a step outside the network, guidance's arithmetic, and S2 by depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from bench_models import CFG, S2, Timed
from bench_networks import TEXT
from bench_reuse import DEPTHS, measured, small_sit
from bench_rows import Row
from gpu_measuring import Sizes, Way, in_turn
from torch import Tensor

from s2g.engine.worker import cost_of
from s2g.guidance.cfg import CFG as Guided
from s2g.guidance.cfg import cfg
from s2g.guidance.masks import count_from_ratio
from s2g.guidance.s2 import S2 as Stochastic
from s2g.guidance.s2 import s2
from s2g.models.base import Conditioning, Output
from s2g.models.sit import SiTDenoiser
from s2g.network.evaluate import Evaluator
from s2g.sampling.euler import Euler
from s2g.sampling.loop import sample
from s2g.sampling.unit import Unit

STEP = (  # of the network that a step is a share of
    "model.blocks=24",
    "model.resolution=256",
    "model.network={sample_size: 32, num_layers: 24, attention_head_dim: 32, num_attention_heads: 4, "
    f"{TEXT}, caption_projection_dim: 128, pos_embed_max_size: 64}}",
    "model.dtype=fp32",
)


class Free(SiTDenoiser):
    """A network that costs nothing, of SD3's latents: 24 blocks that return what they are given, under block control."""

    answer: Tensor

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        tokens = self.answer[: len(x), :1, :1]
        for block in self.network.blocks:
            tokens = block(tokens, tokens)
        return Output(self.answer[: len(x)])


def free_network(shape: tuple[int, ...]) -> Any:
    """Build a Free network of 24 blocks."""
    free: Any = Free(small_sit(24).network, 16, 4, "batched")
    free.latent_shape, free.answer = shape, torch.randn(2, *shape)
    for block in free.network.blocks:
        block.forward = lambda tokens, condition: tokens
    return free


SHAPE = (16, 128, 128)  # of SD3's latents at 1024x1024


def outside(until: float = math.inf, shape: tuple[int, ...] = SHAPE, steps: int = 5, repeats: int = 5) -> Iterator[Row]:
    """Time a step around a network that costs nothing, as a share of one with a small SD3 of as many blocks.

    Ten times as many of the former are timed: a unit's own beginning and end are no part of a step.
    """
    sizes = Sizes(torch.device("cpu"), 1, steps, repeats, 512, 1)
    free, small = free_network(shape), Timed("sd3", STEP, sizes)
    conditions = free.encode([0])

    def loop(guidance: Any, round_number: int) -> None:
        with Evaluator(free) as evaluator:
            evaluator.unseen = False
            sample(evaluator, guidance, Euler(steps=10 * steps), conditions, Unit(0, (0,), 0, mask_seed=round_number))

    guided = {CFG: Guided(), S2: Stochastic()}
    ways: dict[str, Way] = {way: small.ours(way, [f"guidance={name}"]) for way, name in ((CFG, "cfg"), (S2, "s2"))}
    ways |= {f"{way}, network of no cost": partial(loop, guidance) for way, guidance in guided.items()}
    turns = in_turn(ways, sizes, until)
    for way in guided:
        alone, to = f"{way}, network of no cost", f"{way}, SD3 of 24 blocks, width 128, at 256x256"
        first, third = turns.quartiles(alone, way)
        share, seconds = turns.ratio(alone, way) / 10, turns.median(alone) / (10 * steps)
        more = {"seconds": seconds, "outside": share, "quartiles": (first / 10, third / 10), "rounds": len(turns.seconds)}
        yield Row("a step outside the network, latents of 1024x1024", alone, to, share, **more)


def arithmetic(until: float = math.inf, repeats: int = 41, together: int = 100) -> Iterator[Row]:
    """Time Eq. 1 and Eq. 4 compiled as one function over the two as they are, on the latents of SiT and of SD3."""

    def guided(cond: Tensor, uncond: Tensor, sub: Tensor) -> Tensor:
        return s2(cfg(cond, uncond, 7.5), cond, sub, 0.25)

    compiled = torch.compile(guided, dynamic=False)
    for name, shape in (("SiT", (1, 4, 32, 32)), ("SD3", (1, 16, 128, 128))):
        predictions = [torch.randn(shape) for _ in range(3)]

        def often(function: Callable[..., Tensor], round_number: int, given: list[Tensor] = predictions) -> None:
            for _ in range(together):
                function(*given)

        ways: dict[str, Way] = {"eager": partial(often, guided), "compiled": partial(often, compiled)}
        turns = in_turn(ways, Sizes(torch.device("cpu"), 1, 1, repeats, 512, 1), until)
        seconds = turns.median("compiled") / together
        yield Row.of(f"CFG and S2 of one {name} latent", "compiled", "eager", turns, "cpu", seconds=seconds)


def depths(until: float = math.inf) -> Iterator[Row]:
    """Time S2 with reuse over CFG for networks of 12, 24 and 28 blocks, about 10 % of them dropped."""
    for depth in DEPTHS:
        found = measured(small_sit(depth), cost_of(small_sit(depth, "meta")), count_from_ratio(0.1, depth))
        for way, ratio, flops in (("S2 plain", found.wall.plain, found.flops.plain), (S2, found.wall.reuse, found.flops.reuse)):
            yield Row(f"{depth} blocks, a step with a mask", way, CFG, ratio, rounds=12, clock="wall time", counted=flops)

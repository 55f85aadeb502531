"""One model's ways of sampling in interleaved rounds: the stock pipeline, CFG and S2, their kernels, and S2's cheaper forms."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from statistics import fmean, median
from typing import Any
from unittest import mock

import gpu_sit
import torch
from bench_networks import FULL_STEPS, PIPELINES, SCALES
from bench_reuse import expected_sub
from bench_rows import Row
from gpu_measuring import Sizes, Turns, Way, in_turn, matrix_peak, run_of
from gpu_weights import drawn
from torch import Tensor

from s2g.config.kernels import Kernels
from s2g.config.registry import MODELS
from s2g.engine.cost import PassCost
from s2g.engine.worker import DTYPES, cost_of
from s2g.guidance.channels import Channels
from s2g.guidance.s2 import S2 as Stochastic
from s2g.network import evaluate
from s2g.network.attention import SLOT
from s2g.network.evaluate import Account, Evaluator
from s2g.network.forks import turns as in_order
from s2g.network.kernels import attention_kernel, compile_seconds, prepare_network
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.unit import Unit

STOCK, CFG, S2, PLAIN = "stock CFG", "CFG", "S2 with reuse", "S2 plain"
COMPILED = {"blocks": "compiled", "graphs": "as CUDA graphs"}  # of executor.compile
CHEAPER = {  # of S2, ours
    "S2, draw=late": ("guidance=s2", "guidance.draw=late"),
    "S2, every=2": ("guidance=s2", "guidance.every=2"),
    "S2, draw=late every=2": ("guidance=s2", "guidance.draw=late", "guidance.every=2"),
    "naive S2, 4 masks of 2 blocks": ("guidance=s2_naive", "guidance.masks=4", "guidance.drop_blocks=2"),
    "naive S2, no shared prefixes": ("guidance=s2_naive", "guidance.masks=4", "guidance.drop_blocks=2"),
}
AUTO = Kernels()
peak_of = cache(matrix_peak)


class NoTime(Exception):
    """What is left of a section when its time is over."""


def whole_run(cost: PassCost, guidance: Any, steps: int, reuse: bool) -> float | None:
    """Return the FLOPs of a run of S2 over CFG's, exact mean over all masks; None for what is not S2 by step."""
    if isinstance(guidance, Channels):
        guidance = guidance.inner
    if type(guidance) is not Stochastic or guidance.window.by != "step":
        return None
    window, blocks = guidance.window, len(cost.blocks)
    first = window.first(steps)
    fresh = sum((index - first) % guidance.every == 0 for index in range(first, window.end(steps)))
    sub = expected_sub(cost, guidance.dropped(blocks), guidance.never(blocks), reuse)
    return float(1 + Fraction(fresh, steps) * sub / (2 * Fraction(cost.total)))


class Timed:
    """One model with random weights, and what its ways of sampling did: FLOPs by round, and seconds outside the network."""

    def __init__(self, model: str, more: Sequence[str], sizes: Sizes) -> None:
        self.model, self.sizes, self.device, self.items = model, sizes, sizes.device, tuple(range(sizes.batch))
        sit, bench = model.startswith("sit"), "prompts_video" if model.startswith("wan") else "prompts"
        self.typed = [f"model={model}", "model.weights=random", f"sampler.steps={sizes.steps}", *more]
        self.typed += [f"bench={'imagenet' if sit else bench}"] + ([] if sit else [f"guidance.scale={SCALES[model]}"])
        self.typed += ["sampler=flow_match_euler"] if model.startswith("sd3") else []
        self.typed += ["sampler=sit_ode_euler"] if sit else []
        run = run_of(*self.typed, "guidance=cfg")
        self.config, self.sampler = run.model, run.sampler
        self.denoiser = drawn(run, self.device)
        self.cost = cost_of(MODELS.load(run.model.family).meta_model(run.model), 0 if sit else "")
        self.labels = [421 * item % 1000 for item in self.items]
        self.conditions = self.denoiser.encode(self.labels if sit else [f"prompt {item}" for item in self.items])
        self.noise = initial_noise(0, self.items, self.denoiser.latent_shape).to(self.device)
        self.flops: dict[str, dict[int, float]] = {}
        self.outside: dict[str, dict[int, float]] = {}
        self.whole: dict[str, float] = {}
        self.pipeline = PIPELINES[model][0](self.denoiser, self.sampler) if model in PIPELINES else None

    @property
    def name(self) -> str:
        return f"{self.model}, batch {self.sizes.batch}, {self.config.dtype}"

    @contextmanager
    def prepared(self, calls: Sequence[Any] | None, kernels: Kernels) -> Iterator[None]:
        """Have the blocks call these, or themselves, and attention use its kernel meanwhile."""
        for index, block in enumerate(self.denoiser.blocks):
            setattr(block, SLOT, None if calls is None else calls[index])
        with attention_kernel(kernels, self.device.type):
            yield

    def stock(self, way: str, calls: Sequence[Any] | None = None, kernels: Kernels = AUTO) -> Way:
        """Return the stock pipeline's way; SiT has none, and the port of its official loop instead."""
        self.flops[way] = {0: 2 * self.sizes.steps * self.cost.total}

        def once(_: int) -> Tensor:
            with self.prepared(calls, kernels):
                if self.pipeline is None:
                    labels = torch.tensor(self.labels, device=self.device)
                    return gpu_sit.official(self.denoiser.network, self.noise, labels, self.sizes.steps, gpu_sit.SCALE)
                return PIPELINES[self.model][1](self.pipeline, self.conditions, self.noise, self.sizes.steps)

        return once

    def ours(
        self,
        way: str,
        typed: Sequence[str],
        reuse: bool = True,
        calls: Sequence[Any] | None = None,
        kernels: Kernels = AUTO,
        share: bool = True,
    ) -> Way:
        """Return the engine's way of a method; each round draws other masks. share: the prefixes of masks that begin alike."""
        guidance = run_of(*self.typed, *typed).guidance
        whole = whole_run(self.cost, guidance, FULL_STEPS[self.model], reuse)
        if whole is not None:
            self.whole[way] = whole
        alone: Any = lambda edits, recorded, share: in_order(edits, recorded, share=False)  # noqa: E731
        changed = {} if share else {"turns": alone}

        def once(round_number: int) -> Tensor:
            account, unit = Account(), Unit(0, self.items, 0, mask_seed=round_number)
            with (
                self.prepared(calls, kernels),
                mock.patch.multiple(evaluate, **changed) if changed else mock.MagicMock(),
                Evaluator(self.denoiser, reuse, account) as evaluator,
            ):
                began = time.perf_counter()
                latents = sample(evaluator, guidance, self.sampler, self.conditions, unit, self.device).latents
                took = time.perf_counter() - began
            self.flops.setdefault(way, {})[round_number] = self.cost.of(account)
            self.outside.setdefault(way, {})[round_number] = 1 - account.network_seconds() / took
            return latents

        return once

    def row(self, turns: Turns, way: str, to: str, compiling: float = 0.0) -> Row:
        """Make a row with what was counted: FLOPs as a ratio, the share of the peak, and that outside the network."""
        own, other = (fmean(self.flops[name].values()) for name in (way, to))
        more: dict[str, Any] = {"compiling": compiling}
        if not math.isclose(own, other):
            more |= {"counted": own / other, "whole": self.whole.get(way)}
        peak = peak_of(self.sizes.side, DTYPES[self.config.dtype], self.device)
        more["of_peak"] = own * self.sizes.batch / turns.median(way) / 1e12 / peak
        if way in self.outside:
            more["outside"] = median(self.outside[way].values())
        return Row.of(self.name, way, to, turns, self.device.type, **more)

    def rows(self, ways: Mapping[str, Way], pairs: Sequence[tuple[str, str]], until: float) -> Iterator[Row]:
        """Time the ways, and yield the pairs' rows."""
        turns = in_turn(ways, self.sizes, until)
        yield from (self.row(turns, way, to) for way, to in pairs)

    def eager(self, until: float) -> Iterator[Row]:
        """Time the stock pipeline, CFG, and S2 with and without reuse."""
        ways = {STOCK: self.stock(STOCK), CFG: self.ours(CFG, ["guidance=cfg"]), S2: self.ours(S2, ["guidance=s2"])}
        # The pipelines keep latents in the network's dtype and the engine in fp32: they are equal in fp32 alone.
        equal = self.pipeline is not None and self.config.dtype == "fp32"
        latents: list[Any] = [ways[way](0) for way in (STOCK, CFG)] if equal else []
        if equal and not torch.equal(*latents):
            raise RuntimeError(f"{self.model}: CFG and the stock pipeline made different latents, so their times say nothing")
        ways[PLAIN] = self.ours(PLAIN, ["guidance=s2"], reuse=False)
        yield from self.rows(ways, ((CFG, STOCK), (S2, CFG), (PLAIN, CFG)), until)

    def cheaper(self, until: float) -> Iterator[Row]:
        """Time S2's cheaper forms and naive S2, over CFG."""
        ways = {CFG: self.ours(CFG, ["guidance=cfg"])}
        ways |= {way: self.ours(way, typed, share="no shared" not in way) for way, typed in CHEAPER.items()}
        yield from self.rows(ways, [(way, CFG) for way in CHEAPER], until)

    def attention(self, names: Sequence[str], until: float, best: dict[str, str]) -> Iterator[Row]:
        """Time CFG under attention kernels, over the default, and note the fastest one."""
        ways = {CFG: self.ours(CFG, ["guidance=cfg"])}
        for name in names:
            way = self.ours(f"CFG, attention={name}", ["guidance=cfg"], kernels=Kernels(attention=name))
            try:
                way(0)
            except Exception as error:  # a kernel that this device or head size does not have
                print(f"{self.name}: executor.attention={name} left out, {str(error).splitlines()[0]}", flush=True)
            else:
                ways[f"CFG, attention={name}"] = way
        turns = in_turn(ways, self.sizes, until)
        seconds = {"auto": turns.median(CFG), **{way.partition("=")[2]: turns.median(way) for way in ways if "=" in way}}
        best[self.model] = min(seconds, key=lambda name: seconds[name])
        yield from (self.row(turns, way, CFG) for way in ways if way != CFG)

    def compiled(self, value: str, attention: str, until: float) -> Iterator[Row]:
        """Time the stock pipeline as it is, and it, CFG and S2 compiled, in the same rounds."""
        torch._dynamo.reset()  # its guards say nothing of the attention kernel
        kernels, said = Kernels(value, attention), COMPILED[value] + ("" if attention == "auto" else f", attention={attention}")
        for block in self.denoiser.blocks:
            setattr(block, SLOT, None)
        prepare_network(self.denoiser.network, self.denoiser.blocks, kernels)
        calls, eager = [getattr(block, SLOT) for block in self.denoiser.blocks], f"{STOCK}, eager"
        stock, cfg, s2 = (f"{way} {said}" for way in (STOCK, CFG, "S2"))
        ways = {
            eager: self.stock(eager),
            stock: self.stock(stock, calls, kernels),
            cfg: self.ours(cfg, ["guidance=cfg"], calls=calls, kernels=kernels),
            s2: self.ours(s2, ["guidance=s2"], calls=calls, kernels=kernels),
        }
        before = compile_seconds()
        for way in (cfg, s2, stock):
            ways[way](0)
        took = compile_seconds() - before
        turns = in_turn(ways, replace(self.sizes, warm=0), until)
        pairs = ((cfg, eager), (stock, eager), (cfg, stock), (s2, cfg))
        yield from (self.row(turns, way, to, took if (way, to) == pairs[0] else 0.0) for way, to in pairs)


def beside_stock(
    model: str,
    more: Sequence[str],
    sizes: Sizes,
    groups: Sequence[str],
    until: float = math.inf,
    best: dict[str, str] | None = None,
    attention: Sequence[str] = (),
) -> Iterator[Row]:
    """Time the groups of one model: eager, cheaper, attention, blocks, graphs; NoTime, with what is left of them.

    best: where the fastest attention is noted, and read by compiled groups.
    """
    timed, found = Timed(model, more, sizes), {} if best is None else best
    measures: dict[str, Callable[[], Iterator[Row]]] = {
        "eager": partial(timed.eager, until),
        "cheaper": partial(timed.cheaper, until),
        "attention": partial(timed.attention, attention, until, found),
        **{value: lambda value=value: timed.compiled(value, found.get(model, "auto"), until) for value in COMPILED},
    }
    for index, group in enumerate(groups):
        if index and time.monotonic() > until:
            raise NoTime(", ".join(groups[index:]))
        yield from measures[group]()

"""What the scripts that measure diffusers' pipelines beside the engine share: the ways, in turn, and the page of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from gpu_measuring import Sizes, matrix_peak, page, rounds
from torch import Tensor

from s2g.engine.cost import PassCost
from s2g.engine.resolve import Outline
from s2g.engine.worker import DTYPES
from s2g.models.base import Conditioning, Denoiser
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.loop import Sampled, initial_noise, sample
from s2g.sampling.unit import Unit

STOCK, CFG, PLAIN, REUSE = "diffusers' pipeline, CFG", "engine, CFG", "engine, S2 plain", "engine, S2 with reuse"
Stock = Callable[
    [Mapping[str, Conditioning], Tensor], Tensor
]  # conditions and noise to latents, by the pipeline's own __call__


@dataclass(frozen=True)
class Row:
    """One way of sampling one model."""

    model: str
    precision: str
    way: str
    seconds: float  # a batch, all steps, median
    to_stock: float  # seconds over diffusers' pipeline's, median of those taken in the same round
    gigabytes: float  # at the peak, weights included
    tflop_per_item: float  # true ones, attention included
    tflops: float  # of the network, a second
    of_peak: float  # of the matrix product's TFLOP/s in this precision, measured in the same process
    third_passes: int  # steps at which S2's own pass ran


Found = tuple[list[Row], float, dict[str, float]]  # a model's rows, the peak in TFLOP/s, and how far latents are apart


def measured(runs: Mapping[str, Outline], denoiser: Denoiser, cost: PassCost, stock: Stock, sizes: Sizes) -> Iterator[Found]:
    """Yield after each round one model's rows, the peak in TFLOP/s, and the relative distances of latents.

    runs: of "cfg" and "s2". Each round draws other masks; FLOPs are the mean of the rounds that were timed.
    """
    config, sampler, device = runs["cfg"].model, runs["cfg"].sampler, sizes.device
    items = tuple(range(sizes.batch))
    conditions = denoiser.encode([f"prompt {item}" for item in items])
    noise = initial_noise(0, items, denoiser.latent_shape).to(device)
    found: dict[str, Tensor] = {}
    flops: dict[str, dict[int, float]] = {STOCK: {0: 2 * sizes.steps * cost.total}}
    third = {STOCK: 0}

    def engine(way: str, name: str, reuse: bool, round_number: int) -> None:
        account = Account()
        with Evaluator(denoiser, reuse, account) as evaluator:
            unit = Unit(0, items, 0, mask_seed=round_number)
            made: Sampled = sample(evaluator, runs[name].guidance, sampler, conditions, unit, device)
        found[way], third[way] = made.latents, sum(map(bool, made.masks))
        flops.setdefault(way, {})[round_number] = cost.of(account)

    def by_stock(round_number: int) -> None:
        found[STOCK] = stock(conditions, noise)

    ways: dict[str, Callable[[int], None]] = {
        STOCK: by_stock,
        CFG: partial(engine, CFG, "cfg", False),
        PLAIN: partial(engine, PLAIN, "s2", False),
        REUSE: partial(engine, REUSE, "s2", True),
    }
    top = matrix_peak(sizes.side, DTYPES[config.dtype], device)
    for turns in rounds(ways, sizes):
        rows = []
        for way in ways:
            seconds, tera = turns.median(way), fmean(flops[way].values()) / 1e12
            rate = tera * sizes.batch / seconds
            numbers = (seconds, turns.ratio(way, STOCK), turns.peak(way), tera, rate, rate / top)
            rows.append(Row(config.name, config.dtype, way, *numbers, third[way]))
            print(f"round {len(turns.seconds)}, {config.name}, {way}: {seconds:.4g} s, {rows[-1].to_stock:.3f}", flush=True)
        pairs = ((CFG, STOCK), (REUSE, PLAIN))
        apart = {f"{way} / {to}": float((found[way] - found[to]).norm() / found[to].norm()) for way, to in pairs}
        yield rows, top, apart


def markdown(result: dict[str, Any], item: str) -> str:
    """Render the result as a page; item: what is made."""
    head = ["model", "precision", "", "seconds", "seconds / diffusers", "peak GB"]
    head += [f"TFLOP / {item}", "TFLOP/s", "of the matrix peak", "third passes"]
    rows = []
    for row in result["rows"]:
        numbers = [f"{row['seconds']:.3g}", f"{row['to_stock']:.3f}", f"{row['gigabytes']:.2f}", f"{row['tflop_per_item']:.4g}"]
        numbers += [f"{row['tflops']:.3g}", f"{row['of_peak']:.1%}", str(row["third_passes"])]
        rows.append([row["model"], row["precision"], row["way"], *numbers])
    peaks = ", ".join(f"{name} {value:.3g}" for name, value in result["peak"].items())
    apart = [
        f"{name}: {', '.join(f'{ways} {value:.1e}' for ways, value in of.items())}" for name, of in result["apart"].items()
    ]
    summary = f"How far latents are apart, of their norm: {'; '.join(apart)}. Matrix peak, measured, TFLOP/s: {peaks}."
    return page(result, head, rows, [summary, result["remark"]])

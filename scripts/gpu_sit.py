"""What SiT-XL/2 takes on a GPU: images a second, TFLOP/s, and the share of the GPU's own matrix peak.

    python scripts/gpu_sit.py               # needs CUDA; writes experiments/results/gpu/sit_xl.json and .md
    python scripts/gpu_sit.py --rehearse    # the same on a tiny network on the CPU: shows that it runs, and nothing else

Random weights, bf16 and fp32 with TF32 (as SiT's own script; the engine leaves TF32 off), batches of 64: a straight port of the
official loop, and the engine's CFG, S2 plain and S2 with prefix reuse, in turn in one process, medians. Latents
only. Rows are printed and written after each round.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from statistics import fmean
from typing import Any

import torch
from gpu_measuring import Sizes, asked, end, matrix_peak, page, result_of, rounds, run_of, write
from gpu_weights import drawn
from torch import Tensor

from s2g.engine.worker import cost_of
from s2g.models.sit import SiT, SiTDenoiser
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.unit import Unit

SCALE = 1.5  # of SiT's published numbers
EVALUATIONS = 250  # of Euler, as SiT's published samples; images a second are of so many, whatever was timed
TINY = (
    "model.network={size: 8, patch: 2, channels: 4, width: 32, depth: 10, heads: 2, num_classes: 1000, learn_sigma: true}",
    "model.blocks=10",
)
PRECISIONS = {"bf16": torch.bfloat16, "fp32+TF32": torch.float32}
OFFICIAL, CFG, PLAIN, REUSE = "official loop, CFG", "engine, CFG", "engine, S2 plain", "engine, S2 with reuse"


@dataclass(frozen=True)
class Row:
    """One way of sampling in one precision."""

    precision: str
    way: str
    seconds: float  # a batch at the steps that were timed, median
    images_per_second: float  # at 250 evaluations
    tflops: float  # of the network, a second
    of_peak: float  # of the matrix product's TFLOP/s in this precision, measured in the same process
    to_official: float  # seconds over the official loop's, median of those taken in the same round
    tflop_per_image: float  # at 250 evaluations


def official(network: SiT, x: Tensor, labels: Tensor, steps: int, scale: float) -> Tensor:
    """Run SiT's sample_ddp.py by Euler with its forward_with_cfg: z [B, 4, S, S], t from 0, noise, to 1; 3 channels guided.

    Both halves of the batch are carried, and the first is what counts, as there.
    """
    both = torch.cat([labels, torch.full_like(labels, network.num_classes)])
    z, times = torch.cat([x, x]), torch.linspace(0, 1, steps + 1).tolist()
    dtype = network.pos_embed.dtype
    for now, after in pairwise(times):
        half = z[: len(z) // 2]
        t = torch.full((len(z),), now, device=z.device)
        out = network(torch.cat([half, half]).to(dtype), t, both).float()[:, : z.shape[1]]
        eps, rest = out[:, :3], out[:, 3:]
        cond, uncond = eps.chunk(2)
        guided = uncond + scale * (cond - uncond)
        z = z + (after - now) * torch.cat([torch.cat([guided, guided]), rest], 1)
    return z.chunk(2)[0]


def measured(precision: str, sizes: Sizes, more: Sequence[str]) -> Iterator[tuple[list[Row], float, float]]:
    """Yield after each round one precision's rows, the peak in TFLOP/s, and how far CFG's latents are from the official loop's.

    The distance is of their norm. Each round draws other masks. more: what makes the network another one.
    """
    dtype, device, steps = PRECISIONS[precision], sizes.device, sizes.steps
    typed = ["model=sit_xl", "model.weights=random", "bench=imagenet", "sampler=sit_ode_euler", f"sampler.steps={steps}"]
    typed += [f"guidance.scale={SCALE}", f"model.dtype={'bf16' if dtype is torch.bfloat16 else 'fp32'}", *more]
    runs = {name: run_of(*typed, f"guidance={name}") for name in ("cfg", "s2")}
    model = runs["cfg"].model
    denoiser, cost = drawn(runs["cfg"], device), cost_of(SiTDenoiser.meta_model(model))
    items = tuple(range(sizes.batch))
    labels = [421 * item % 1000 for item in items]
    noise = initial_noise(0, items, denoiser.latent_shape).to(device)
    conditions, tensor = denoiser.encode(labels), torch.tensor(labels, device=device)
    found: dict[str, Tensor] = {}
    flops: dict[str, dict[int, float]] = {OFFICIAL: {0: 2 * steps * cost.total}}

    def engine(way: str, name: str, reuse: bool, round_number: int) -> None:
        account, unit = Account(), Unit(0, items, 0, mask_seed=round_number)
        with Evaluator(denoiser, reuse, account) as evaluator:
            made = sample(evaluator, runs[name].guidance, runs[name].sampler, conditions, unit, device)
        found[way] = made.latents
        flops.setdefault(way, {})[round_number] = cost.of(account)

    def port(round_number: int) -> None:
        found[OFFICIAL] = official(denoiser.network, noise, tensor, steps, SCALE)

    ways: dict[str, Callable[[int], None]] = {
        OFFICIAL: port,
        CFG: partial(engine, CFG, "cfg", False),
        PLAIN: partial(engine, PLAIN, "s2", False),
        REUSE: partial(engine, REUSE, "s2", True),
    }
    top = matrix_peak(sizes.side, dtype, device)
    for turns in rounds(ways, sizes):
        rows = []
        for way in ways:
            seconds, whole = turns.median(way), EVALUATIONS / steps
            tera = fmean(flops[way].values()) / 1e12
            rate = tera * sizes.batch / seconds
            ratio = turns.ratio(way, OFFICIAL)
            rows.append(Row(precision, way, seconds, sizes.batch / (seconds * whole), rate, rate / top, ratio, tera * whole))
            print(f"round {len(turns.seconds)}, {precision}, {way}: {seconds:.4g} s, {ratio:.3f}", flush=True)
        apart = float((found[CFG] - found[OFFICIAL]).norm() / found[OFFICIAL].norm())
        yield rows, top, apart


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a page."""
    head = ["precision", "", "images/s", "TFLOP/s", "of the matrix peak", "seconds / official", "TFLOP / image"]
    rows = []
    for row in result["rows"]:
        numbers = [
            f"{row['images_per_second']:.3g}",
            f"{row['tflops']:.3g}",
            f"{row['of_peak']:.1%}",
            f"{row['to_official']:.3f}",
            f"{row['tflop_per_image']:.3g}",
        ]
        rows.append([row["precision"], row["way"], *numbers])
    peaks = ", ".join(f"{name} {value:.3g}" for name, value in result["peak"].items())
    apart = ", ".join(f"{name} {value:.1e}" for name, value in result["apart"].items())
    summary = f"Matrix peak, measured, TFLOP/s: {peaks}. CFG's latents from the official loop's: {apart} of their norm."
    return page(result, head, rows, [summary, result["remark"]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; 2 where there is no CUDA GPU."""
    typed = sys.argv[1:] if arguments is None else arguments
    ask = asked("gpu_sit", str(__doc__), typed, full=(64, 50, 5), tiny=(2, 10, 1))
    if ask is None:
        return 2
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # concerns fp32 alone
    sizes, text = ask.sizes, ""
    before: list[Row] = []
    top: dict[str, float] = {}
    apart: dict[str, float] = {}
    remark = (
        f"Random weights, batches of {sizes.batch}, {sizes.steps} steps of Euler timed {sizes.repeats} times, medians, in turn "
        f"in one process; images/s and TFLOP/image at {EVALUATIONS} steps. The decoder is not included."
    )
    with torch.inference_mode():
        for precision in PRECISIONS:
            rows = list[Row]()
            for found in measured(precision, sizes, TINY if ask.rehearse else ()):
                rows, top[precision], apart[precision] = found
                of = {"peak": top, "apart": apart, "rows": [asdict(row) for row in [*before, *rows]], "remark": remark}
                result = result_of(ask, "SiT-XL/2, 256×256", **of)
                text = markdown(result)
                write(ask, "sit_xl", result, text)
            before += rows
    end(ask, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

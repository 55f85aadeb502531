"""What SiT-XL/2 takes on a GPU: images a second, TFLOP/s, and the share of the GPU's own matrix peak.

    python scripts/gpu_sit.py               # needs CUDA; writes experiments/results/gpu/sit_xl.json and .md
    python scripts/gpu_sit.py --rehearse    # the same on a tiny network on the CPU: shows that it runs, and nothing else

Random weights, bf16 and fp32 with TF32 (as SiT's own script; the engine leaves TF32 off), batches of 64: a straight port of the
official loop, and the engine's CFG, S2 plain and S2 with prefix reuse, in turn in one process, medians. Latents only.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from s2g.config import CHECKOUT, config_dir
from s2g.engine.environment import machine
from s2g.engine.run import Outline, outline
from s2g.engine.worker import cost_of
from s2g.models.sit import SiT, SiTDenoiser
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.unit import Unit

OUT = CHECKOUT / "experiments" / "results" / "gpu"
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
    """SiT's sample_ddp.py by Euler with its forward_with_cfg: z [B, 4, S, S], t from 0, noise, to 1; three channels guided.

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


def about(method: str, steps: int, dtype: str, more: Sequence[str]) -> Outline:
    """A run's model, sampler and guidance, as a user would type it."""
    typed = ["model=sit_xl", "model.weights=random", "bench=imagenet", "sampler=sit_ode_euler", f"sampler.steps={steps}"]
    typed += [f"guidance={method}", f"guidance.scale={SCALE}", f"model.dtype={dtype}", *more]
    with initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
        raw: Any = OmegaConf.to_container(compose("run", overrides=typed), resolve=True)
    return outline(raw)


def matrix_peak(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """TFLOP/s of the best of ten square matrix products: what this GPU does, not what its data sheet says."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / min(timed(lambda: a @ b, device) for _ in range(10)) / 1e12


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of `work`, what it left on the GPU included."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and on what."""

    device: torch.device
    batch: int
    steps: int
    repeats: int
    side: int  # of the matrix product that says what the peak is
    more: tuple[str, ...] = ()  # what makes the network another one


def measured(precision: str, sizes: Sizes) -> tuple[list[Row], float, float]:
    """Rows of one precision; the peak in TFLOP/s; how far CFG's latents are from the official loop's, of their norm."""
    dtype, device, steps = PRECISIONS[precision], sizes.device, sizes.steps
    runs = {name: about(name, steps, "bf16" if dtype is torch.bfloat16 else "fp32", sizes.more) for name in ("cfg", "s2")}
    model = runs["cfg"].model
    denoiser, cost = SiTDenoiser.load(model, device, dtype), cost_of(SiTDenoiser.twin(model))
    items = tuple(range(sizes.batch))
    labels = [421 * item % 1000 for item in items]
    noise = initial_noise(0, items, denoiser.latent_shape).to(device)
    conditions, tensor = denoiser.encode(labels), torch.tensor(labels, device=device)
    found: dict[str, Tensor] = {}
    flops = {OFFICIAL: 2 * steps * cost.total}

    def engine(way: str, name: str, reuse: bool) -> None:
        account = Account()
        with Evaluator(denoiser, reuse, account) as evaluator:
            made = sample(evaluator, runs[name].guidance, runs[name].sampler, conditions, Unit(0, items, 0, 0), device)
        found[way], flops[way] = made.latents, cost.of(account)

    def port() -> None:
        found[OFFICIAL] = official(denoiser.network, noise, tensor, steps, SCALE)

    ways: dict[str, Callable[[], None]] = {
        OFFICIAL: port,
        CFG: lambda: engine(CFG, "cfg", False),
        PLAIN: lambda: engine(PLAIN, "s2", False),
        REUSE: lambda: engine(REUSE, "s2", True),
    }
    names = list(ways)
    rounds: list[dict[str, float]] = []
    for at in range(-1, sizes.repeats):  # the first to warm up
        # In turn, and each time another one first, so that a machine that slows down slows all of them.
        order = [names[(at + shift) % len(names)] for shift in range(len(names))]
        rounds.append({name: timed(ways[name], device) for name in order})
    rounds = rounds[1:]
    peak, rows = matrix_peak(sizes.side, dtype, device), []
    for way in names:
        seconds, whole = median(each[way] for each in rounds), EVALUATIONS / steps
        tera = flops[way] / 1e12
        rate = tera * sizes.batch / seconds
        ratio = median(each[way] / each[OFFICIAL] for each in rounds)
        rows.append(Row(precision, way, seconds, sizes.batch / (seconds * whole), rate, rate / peak, ratio, tera * whole))
    apart = float((found[CFG] - found[OFFICIAL]).norm() / found[OFFICIAL].norm())
    return rows, peak, apart


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    head = ["precision", "", "images/s", "TFLOP/s", "of the matrix peak", "seconds / official", "TFLOP / image"]
    lines = [
        f"# {result['title']}",
        "",
        f"`{result['command']}`, {result['date']}, {result['machine']}, torch {result['torch']}",
    ]
    lines += ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in result["rows"]:
        numbers = [
            f"{row['images_per_second']:.3g}",
            f"{row['tflops']:.3g}",
            f"{row['of_peak']:.1%}",
            f"{row['to_official']:.3f}",
        ]
        lines.append(f"| {' | '.join([row['precision'], row['way'], *numbers])} |")
    peaks = ", ".join(f"{name} {value:.3g}" for name, value in result["peak"].items())
    apart = ", ".join(f"{name} {value:.1e}" for name, value in result["apart"].items())
    lines += ["", f"Matrix peak, measured, TFLOP/s: {peaks}. CFG's latents from the official loop's: {apart} of their norm."]
    return "\n".join([*lines, "", result["remark"], ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; 2 where there is no CUDA GPU."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="a tiny network on the CPU; written only where --out says")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50, help="of Euler that are timed")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help=f"folder of the result; {OUT.relative_to(CHECKOUT)} when not given")
    options = parser.parse_args(typed)
    if min(options.batch, options.steps, options.repeats) < 1:
        parser.error("--batch, --steps and --repeats are 1 or more")  # exits with 2
    if not options.rehearse and not torch.cuda.is_available():
        print("error: torch sees no CUDA GPU here; --rehearse runs a tiny network on the CPU", file=sys.stderr)
        return 2
    sizes = Sizes(torch.device("cuda"), options.batch, options.steps, options.repeats, 8192)
    if options.rehearse:
        sizes = Sizes(torch.device("cpu"), min(options.batch, 2), min(options.steps, 10), min(options.repeats, 1), 128, TINY)
        torch.set_num_threads(1)  # on a machine that is busy, two threads wait for each other
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # concerns fp32 alone
    rows, peak, apart = [], {}, {}
    with torch.inference_mode():
        for precision in PRECISIONS:
            found, peak[precision], apart[precision] = measured(precision, sizes)
            rows += found
    remark = (
        f"Random weights, batches of {sizes.batch}, {sizes.steps} steps of Euler timed {sizes.repeats} times, medians, in turn "
        f"in one process; images/s and TFLOP/image at {EVALUATIONS} steps. The decoder is not included."
    )
    result = {
        "title": "REHEARSAL on a tiny network: no number means anything" if options.rehearse else "SiT-XL/2, 256×256",
        "command": shlex.join(["python", "scripts/gpu_sit.py", *typed]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "torch": torch.__version__,
        "sizes": {name: getattr(sizes, name) for name in ("batch", "steps", "repeats", "side")},
        "peak": peak,
        "apart": apart,
        "rows": [asdict(row) for row in rows],
        "remark": remark,
    }
    page = markdown(result)
    print(page)
    out = options.out or (None if options.rehearse else OUT)
    if out is not None:
        stem = "rehearsal" if options.rehearse else "sit_xl"  # a rehearsal never takes a result's place
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n")
        (out / f"{stem}.md").write_text(page)
        print(out / f"{stem}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())

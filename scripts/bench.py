"""What sampling costs beside diffusers' pipelines, in one process: ratios of interleaved rounds, the most telling first.

    python scripts/bench.py                       # small networks on the CPU (make bench)
    python scripts/bench.py --gpu                 # full-size networks on a GPU, in 6 minutes (make bench-gpu)
    python scripts/bench.py --gpu --rehearse      # the GPU's sections on small networks on the CPU: shows that they run

A section begins only while its time lasts, and prints its rows as they come. Random weights, drawn on the device; latents only.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import gpu_sd3
import gpu_sit
import gpu_wan
import torch
from bench_reuse import DEPTHS, measured, small_sit
from bench_scorers import scorers
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from gpu_measuring import Sizes, in_turn, run_of
from torch import Tensor

from s2g.config.kernels import Kernels
from s2g.config.registry import MODELS
from s2g.engine.environment import machine
from s2g.engine.resolve import Outline
from s2g.engine.worker import DTYPES, cost_of
from s2g.guidance.cfg import cfg
from s2g.guidance.masks import count_from_ratio
from s2g.guidance.s2 import s2
from s2g.models.base import Conditioning, Output
from s2g.models.sit import SiTDenoiser, position_table
from s2g.network.attention import SLOT
from s2g.network.evaluate import Evaluator
from s2g.network.kernels import compile_seconds, prepare_network
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.unit import Unit

FLUX_SCALE = 3.5
STOCK, CFG, S2 = "stock CFG", "CFG", "S2 with reuse"
COMPILED = {"blocks": "compiled", "graphs": "as CUDA graphs"}  # of executor.compile
TEXT = "joint_attention_dim: 64, pooled_projection_dim: 64"
SMALL = {  # long enough a step that the rounds agree: tenths of a second
    "sd3": (
        "model.blocks=6",
        "model.resolution=256",
        "model.network={sample_size: 32, num_layers: 6, attention_head_dim: 32, num_attention_heads: 4, "
        f"{TEXT}, caption_projection_dim: 128, pos_embed_max_size: 64}}",
    ),
    "flux": (
        "model.blocks=6",
        "model.resolution=256",
        f"model.network={{num_layers: 2, num_single_layers: 4, attention_head_dim: 128, num_attention_heads: 1, {TEXT}}}",
    ),
    "wan_1_3b": (
        "model.blocks=4",
        "model.height=64",
        "model.width=96",
        "model.network={num_attention_heads: 4, attention_head_dim: 24, text_dim: 32, freq_dim: 16, ffn_dim: 192, "
        "num_layers: 4}",
    ),
    "sit_xl": gpu_sit.TINY,
}


@dataclass(frozen=True)
class Row:
    """One way beside another: the median of seconds, and of the ratios within rounds."""

    section: str
    way: str
    to: str
    ratio: float
    seconds: float | None = None  # None where a round is too short to be worth a number
    gigabytes: float = 0.0  # at the peak, weights included
    compiling: float = 0.0  # seconds, apart

    def line(self) -> str:
        seconds = "" if self.seconds is None else f", {self.seconds:.4g} s"
        compiling = f", compiled in {self.compiling:.1f} s" if self.compiling else ""
        return f"{self.section}: {self.way} / {self.to} {self.ratio:.3f}{seconds}, {self.gigabytes:.2f} GB{compiling}"


def drawn(outline: Outline, device: torch.device) -> Any:
    """Return a model with random weights, drawn on the device: the CPU would need minutes."""
    config = outline.model
    denoiser: Any = MODELS.load(config.family).meta_model(config)
    dtype, network = DTYPES[config.dtype], denoiser.network
    keep = tuple(getattr(network, "_keep_in_fp32_modules", None) or ())
    fixed: Mapping[str, Tensor] = {} if isinstance(denoiser, SiTDenoiser) else denoiser.fixed_tensors(config.network, dtype)
    if isinstance(denoiser, SiTDenoiser):
        side = config.network["size"] // network.patch
        fixed = {"pos_embed": position_table(network.pos_embed.shape[2], side)[None]}
    network.to_empty(device=device)
    for name, tensor in network.state_dict().items():
        if name in fixed:
            tensor.copy_(fixed[name])
        elif tensor.ndim > 1:
            tensor.normal_(std=tensor[0].numel() ** -0.5)
        else:
            tensor.normal_(mean=float(name.endswith("weight")), std=0.02)
    for name, module in network.named_modules():
        if not list(module.children()) and not any(part in name for part in keep):
            module.to(dtype)
    network.to(device)
    for parameter in network.parameters(recurse=False):
        parameter.data = parameter.data.to(dtype)
    if not isinstance(denoiser, SiTDenoiser):
        denoiser.finish(network)
        denoiser.text = denoiser.random_text(config.network, dtype, device)
    return denoiser


def flux_stock(pipeline: Any, conditions: Mapping[str, Conditioning], noise: Tensor, steps: int) -> Tensor:
    """Return latents [B, N, 64] of FluxPipeline's own __call__ with true CFG, from noise of that shape."""
    cond, uncond = (conditions[name].tensors for name in ("cond", "uncond"))
    side = 16 * round(noise.shape[1] ** 0.5)
    given = {"prompt_embeds": cond["tokens"], "pooled_prompt_embeds": cond["pooled"]}
    given |= {"negative_prompt_embeds": uncond["tokens"], "negative_pooled_prompt_embeds": uncond["pooled"]}
    sizes: dict[str, Any] = {"height": side, "width": side, "num_inference_steps": steps, "true_cfg_scale": FLUX_SCALE}
    return pipeline(**given, latents=noise, output_type="latent", **sizes).images


def flux_of(denoiser: Any, sampler: Any) -> Any:
    """Build FluxPipeline around the engine's own network."""
    parts: dict[str, Any] = dict.fromkeys(("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    pipeline = FluxPipeline(transformer=denoiser.network, scheduler=sampler.scheduler(), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


SCALES = {"sd3": gpu_sd3.SCALE, "sd35": gpu_sd3.SCALE, "flux": FLUX_SCALE, "wan_1_3b": gpu_wan.SCALE}  # as the calls have them
# model -> its stock pipeline around a network, and its call; SiT has none, and the port of its official loop instead.
PIPELINES: dict[str, tuple[Callable[..., Any], Callable[..., Tensor]]] = {
    "sd3": (gpu_sd3.stock_of, gpu_sd3.by_stock),
    "sd35": (gpu_sd3.stock_of, gpu_sd3.by_stock),
    "flux": (flux_of, flux_stock),
    "wan_1_3b": (gpu_wan.stock_of, gpu_wan.by_stock),
}


def beside_stock(model: str, more: tuple[str, ...], sizes: Sizes, compile: Sequence[str] = ()) -> Iterator[Row]:
    """Time the stock pipeline, CFG and S2 of one model, and CFG and S2 again under each value of executor.compile."""
    device, items = sizes.device, tuple(range(sizes.batch))
    bench = "prompts_video" if model.startswith("wan") else "imagenet" if model.startswith("sit") else "prompts"
    typed = [f"model={model}", "model.weights=random", f"bench={bench}", f"sampler.steps={sizes.steps}", *more]
    typed += [] if model.startswith("sit") else [f"guidance.scale={SCALES[model]}"]
    typed += ["sampler=flow_match_euler"] if model.startswith("sd3") else []
    typed += ["sampler=sit_ode_euler"] if model.startswith("sit") else []
    runs = {name: run_of(*typed, f"guidance={name}") for name in ("cfg", "s2")}
    denoiser, sampler = drawn(runs["cfg"], device), runs["cfg"].sampler
    labels = [421 * item % 1000 for item in items]
    conditions = denoiser.encode(labels if model.startswith("sit") else [f"prompt {item}" for item in items])
    noise = initial_noise(0, items, denoiser.latent_shape).to(device)

    def ours(name: str) -> Tensor:
        with Evaluator(denoiser) as evaluator:
            return sample(evaluator, runs[name].guidance, sampler, conditions, Unit(0, items, 0, 0), device).latents

    if model in PIPELINES:
        build, call = PIPELINES[model]
        stock: Callable[[], object] = partial(call, build(denoiser, sampler), conditions, noise, sizes.steps)
        # The pipelines keep latents in the network's dtype and the engine in fp32: they are equal in fp32 alone.
        if runs["cfg"].model.dtype == "fp32" and not torch.equal(
            ours("cfg"), call(build(denoiser, sampler), conditions, noise, sizes.steps)
        ):
            raise RuntimeError(f"{model}: CFG and the stock pipeline made different latents, so their times say nothing")
    else:
        stock = partial(gpu_sit.official, denoiser.network, noise, torch.tensor(labels, device=device), sizes.steps, 1.5)
    name = f"{model}, batch {sizes.batch}, {runs['cfg'].model.dtype}"
    ways = {STOCK: stock, CFG: partial(ours, "cfg"), S2: partial(ours, "s2")}
    turns = in_turn(ways, sizes)
    pairs = ((CFG, STOCK), (S2, CFG))
    yield from (Row(name, way, to, turns.ratio(way, to), turns.median(way), turns.peak(way)) for way, to in pairs)
    eager = turns.median(STOCK)  # the pipeline would call the compiled blocks too, so its time is the earlier one
    for value in compile:
        for block in denoiser.blocks:
            setattr(block, SLOT, None)
        before = compile_seconds()
        prepare_network(denoiser.network, denoiser.blocks, Kernels(value))
        ours("s2")
        took = compile_seconds() - before
        turns = in_turn({CFG: ways[CFG], S2: ways[S2]}, sizes)
        ratio, cfg = turns.median(CFG) / eager, f"CFG {COMPILED[value]}"
        yield Row(name, cfg, f"{STOCK}, eager", ratio, turns.median(CFG), turns.peak(CFG), took)
        yield Row(name, f"S2 {COMPILED[value]}", cfg, turns.ratio(S2, CFG), turns.median(S2), turns.peak(S2))


class Free(SiTDenoiser):
    """A network that costs nothing, of SD3's latents: what a step takes with it is what is outside of the network."""

    answer: Tensor

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        return Output(self.answer[: len(x)])


def outside(shape: tuple[int, ...] = (16, 128, 128), steps: int = 50, repeats: int = 9) -> Iterator[Row]:
    """Time a step around a network that costs nothing, over a step of the plain formula u + 7.5 (c - u) and Euler's move."""
    from s2g.guidance.cfg import CFG as Guided
    from s2g.guidance.s2 import S2 as Stochastic
    from s2g.sampling.euler import Euler

    free: Any = Free(small_sit(24).network, 16, 4, "batched")
    free.latent_shape, free.answer = shape, torch.randn(2, *shape)
    conditions, x = free.encode([0]), torch.randn(1, *shape)

    def formula() -> None:
        z = x
        for _ in range(steps):
            torch.cat([z, z])
            cond, uncond = free.answer.float().chunk(2)
            z = z - (uncond + 7.5 * (cond - uncond)) / steps

    def loop(guidance: Any) -> None:
        with Evaluator(free) as evaluator:
            evaluator.unseen = False
            sample(evaluator, guidance, Euler(steps=steps), conditions, Unit(0, (0,), 0, 0))

    ways = {"formula": formula, "CFG": lambda: loop(Guided()), "S2": lambda: loop(Stochastic())}
    turns = in_turn(ways, Sizes(torch.device("cpu"), 1, steps, repeats, 128, 1))
    for way in ("CFG", "S2"):
        yield Row("a step outside the network", way, "formula", turns.ratio(way, "formula"), turns.median(way) / steps)


def arithmetic(repeats: int = 41, together: int = 100) -> Iterator[Row]:
    """Time Eq. 1 and Eq. 4 compiled as one function over the two as they are, on the latents of SiT and of SD3."""

    def guided(cond: Tensor, uncond: Tensor, sub: Tensor) -> Tensor:
        return s2(cfg(cond, uncond, 7.5), cond, sub, 0.25)

    compiled = torch.compile(guided, dynamic=False)
    for name, shape in (("SiT", (1, 4, 32, 32)), ("SD3", (1, 16, 128, 128))):
        predictions = [torch.randn(shape) for _ in range(3)]

        def often(function: Callable[..., Tensor], given: list[Tensor] = predictions) -> None:
            for _ in range(together):
                function(*given)

        ways = {"eager": partial(often, guided), "compiled": partial(often, compiled)}
        turns = in_turn(ways, Sizes(torch.device("cpu"), 1, 1, repeats, 128, 1))
        seconds = turns.median("compiled") / together
        yield Row(f"CFG and S2 of one {name} latent", "compiled", "eager", turns.ratio("compiled", "eager"), seconds)


def depths() -> Iterator[Row]:
    """Time S2 with reuse over CFG for networks of 12, 24 and 28 blocks, about 10 % of them dropped."""
    for depth in DEPTHS:
        found = measured(small_sit(depth), cost_of(small_sit(depth, "meta")), count_from_ratio(0.1, depth))
        for way, ratio in (("S2 plain", found.wall.plain), (S2, found.wall.reuse)):
            yield Row(f"{depth} blocks, a step with a mask", way, CFG, ratio)


def scoring(sizes: Sizes, small: bool) -> Iterator[Row]:
    """Time the networks that score images; seconds are of one image."""
    for network, way, to, ratio, seconds, gigabytes in scorers(sizes, small):
        yield Row(f"scoring an image, {network}", way, to, ratio, seconds, gigabytes)


def sections(gpu: bool, rehearse: bool) -> dict[str, tuple[float, Callable[[], Iterator[Row]]]]:
    """Return what is measured, the most telling first, with the second by which each must have begun."""
    if gpu:
        cuda = torch.device("cpu" if rehearse else "cuda")

        def model(name: str, batch: int, steps: int, compile: Sequence[str], *more: str) -> Callable[[], Iterator[Row]]:
            small = SMALL.get(name, SMALL["sd3"]) if rehearse else more
            compile = [value for value in compile if value != "graphs" or not rehearse]  # those are a GPU's
            sizes = Sizes(cuda, min(batch, 2), 3, 1, 128, 0) if rehearse else Sizes(cuda, batch, steps, 3, 8192, 1)
            return lambda: beside_stock(name, small, sizes, compile)

        return {
            "sd35": (60, model("sd35", 1, 14, ["blocks"])),
            "sd3": (150, model("sd3", 1, 14, [])),
            "sit, batch 64": (210, model("sit_xl", 64, 10, [], "model.dtype=bf16")),
            "sit, batch 1": (240, model("sit_xl", 1, 10, ["graphs", "blocks"], "model.dtype=bf16")),
            "wan": (290, model("wan_1_3b", 1, 4, [], "model.frames=33")),
            "scorers": (310, lambda: scoring(Sizes(cuda, 1, 1, 3, 8192, 0 if rehearse else 1), rehearse)),
        }
    sizes = Sizes(torch.device("cpu"), 1, 6, 7, 128, 1)

    def small(name: str) -> Callable[[], Iterator[Row]]:
        frames = ("model.frames=5",) if name.startswith("wan") else ()
        return lambda: beside_stock(name, (*SMALL[name], "model.dtype=fp32", *frames), sizes)

    return {
        "outside": (60, outside),
        "arithmetic": (60, arithmetic),
        **{name: (600, small(name)) for name in ("sd3", "flux", "wan_1_3b")},
        "depths": (900, depths),
        "scorers": (900, lambda: scoring(Sizes(torch.device("cpu"), 1, 1, 3, 128, 1), True)),
    }


def page(result: Mapping[str, Any]) -> str:
    """Render the result as Markdown."""
    about = f"`{result['command']}`, {result['date']}, {result['machine']}, torch {result['torch']}."
    lines = ["# Cost of sampling, as ratios of interleaved rounds", "", about, ""]
    lines += ["| | way | to | ratio | seconds | peak GB | compiling, s |", "|---|---|---|---|---|---|---|"]
    for row in result["rows"]:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.4g}"
        numbers = f"{row['ratio']:.3f} | {seconds} | {row['gigabytes']:.2f} | {row['compiling']:.1f}"
        lines.append(f"| {row['section']} | {row['way']} | {row['to']} | {numbers} |")
    return "\n".join([*lines, "", *(f"Left out: {one}." for one in result["left_out"])]) + "\n"


def main() -> int:
    """Measure, print, and write where --out says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--rehearse", action="store_true", help="the GPU's sections on small networks on the CPU")
    parser.add_argument("--only", default="", help="one section by name")
    parser.add_argument("--out", type=Path, help="folder for bench.json and bench.md")
    ask = parser.parse_args()
    if ask.gpu and not ask.rehearse and not torch.cuda.is_available():
        parser.error("torch sees no CUDA GPU here; --rehearse runs small networks on the CPU")
    if not ask.gpu or ask.rehearse:
        torch.set_num_threads(1)  # on a machine that is busy, two threads wait for each other
    began, rows, left_out, failed = time.monotonic(), [], [], False
    with torch.inference_mode():
        for name, (latest, measure) in sections(ask.gpu, ask.rehearse).items():
            if ask.only and name != ask.only:
                continue
            if time.monotonic() - began > latest and not ask.rehearse:
                left_out.append(f"{name}, no time left")
                continue
            try:
                for row in measure():
                    rows.append(asdict(row))
                    print(row.line(), flush=True)
            except Exception as error:  # a lent machine's minutes: what one section meets costs no other
                failed = True
                traceback.print_exc()
                left_out.append(f"{name}, which failed ({type(error).__name__}: {str(error).partition(chr(10))[0]})")
    command = f"python scripts/bench.py{' --gpu' if ask.gpu else ''}{' --rehearse' if ask.rehearse else ''}"
    about = {"command": command, "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "torch": torch.__version__}
    result = {**about, "rows": rows, "left_out": left_out}
    if ask.out is not None:
        ask.out.mkdir(parents=True, exist_ok=True)
        (ask.out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
        (ask.out / "bench.md").write_text(page(result))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())

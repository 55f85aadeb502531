"""What sampling costs beside diffusers' pipelines, in one process: ratios of interleaved rounds, the most telling first.

    python scripts/bench.py                       # small networks on the CPU (make bench)
    python scripts/bench.py --gpu                 # full-size networks on a GPU, in 6 minutes (make bench-gpu)
    python scripts/bench.py --gpu --rehearse      # the GPU's sections on tiny networks on the CPU: shows that they run

Each section has its seconds, and begins no round that would exceed them; a row is printed and written as it comes. Random
weights, drawn on the device; latents only.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench_models import NoTime, beside_stock
from bench_networks import SMALL, TINY
from bench_rows import Row, page
from bench_scorers import scoring
from bench_small import arithmetic, depths, outside
from gpu_measuring import Sizes

from s2g.engine.environment import machine

Measure = Callable[[float], Iterator[Row]]  # until when, of time.monotonic()
TOTAL = {True: 360, False: 900}  # seconds, on a GPU or not


def gpu_sections(rehearse: bool) -> dict[str, tuple[float, Measure]]:
    """Return what is measured on a GPU, the most telling first, with the seconds of each."""
    device, best = torch.device("cpu" if rehearse else "cuda"), dict[str, str]()

    def model(name: str, batch: int, steps: int, groups: tuple[str, ...], *more: str) -> Measure:
        kernels = ("math", "flash") if rehearse else ("cudnn", "flash")
        groups = tuple(group for group in groups if group != "graphs" or not rehearse)  # those are a GPU's
        sizes = Sizes(device, min(batch, 2), 3, 1, 128, 0) if rehearse else Sizes(device, batch, steps, 3, 8192, 1)
        given = TINY[name] if rehearse else more
        return lambda until: beside_stock(name, given, sizes, groups, until, best, kernels)

    eager = ("eager", "attention")
    half, frames = "model.dtype=bf16", "model.frames=33"
    scored = Sizes(device, 1, 1, 1 if rehearse else 3, 128, 0 if rehearse else 1)
    return {
        "sd35": (60, model("sd35", 1, 14, eager)),
        "sd3": (40, model("sd3", 1, 14, eager)),
        "sd35, compiled": (90, model("sd35", 1, 14, ("blocks",))),
        "sit, batch 64": (30, model("sit_xl", 64, 10, eager, half)),
        "sit, batch 1": (45, model("sit_xl", 1, 10, ("eager", "graphs", "blocks"), half)),
        "wan": (45, model("wan_1_3b", 1, 4, eager, frames)),
        "scorers": (20, lambda until: scoring(scored, rehearse, until)),
        "sd3, compiled": (30, model("sd3", 1, 14, ("blocks",))),
    }


def cpu_sections() -> dict[str, tuple[float, Measure]]:
    """Return what is measured on a CPU, the most telling first, with the seconds of each."""
    sizes = Sizes(torch.device("cpu"), 1, 6, 7, 512, 1)

    def small(name: str, *groups: str) -> Measure:
        more = (*SMALL[name], "model.dtype=fp32", *(("model.frames=5",) if name.startswith("wan") else ()))
        return lambda until: beside_stock(name, more, sizes, groups, until)

    return {
        "outside": (60, outside),
        "arithmetic": (30, arithmetic),
        "sd3": (180, small("sd3", "eager", "cheaper", "blocks")),
        **{name: (90, small(name, "eager", "blocks")) for name in ("flux", "wan_1_3b")},
        "depths": (60, depths),
        "scorers": (60, partial(scoring, Sizes(torch.device("cpu"), 1, 1, 3, 128, 1), True)),
    }


def sections(gpu: bool, rehearse: bool) -> dict[str, tuple[float, Measure]]:
    """Return what is measured, the most telling first, with the seconds of each."""
    return gpu_sections(rehearse) if gpu else cpu_sections()


def write(out: Path | None, result: dict[str, Any]) -> None:
    """Write what there is so far."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
        (out / "bench.md").write_text(page(result))


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
    command = f"python scripts/bench.py{' --gpu' if ask.gpu else ''}{' --rehearse' if ask.rehearse else ''}"
    command += f" --only {ask.only!r}" if ask.only else ""
    about = {"command": command, "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "torch": torch.__version__}
    result: dict[str, Any] = {**about, "rows": [], "left_out": []}
    end, failed = time.monotonic() + TOTAL[ask.gpu], False
    with torch.inference_mode():
        for name, (seconds, measure) in sections(ask.gpu, ask.rehearse).items():
            if ask.only and name != ask.only:
                continue
            now = time.monotonic()
            if now > end:
                result["left_out"].append(f"{name}, no time left")
                continue
            try:
                for row in measure(min(now + seconds, end)):
                    result["rows"].append(asdict(row))
                    print(row.line(), flush=True)
                    write(ask.out, result)
            except NoTime as left:
                result["left_out"].append(f"{name}: {left}, no time left")
            except Exception as error:  # a lent machine's minutes: what one section meets costs no other
                failed = True
                traceback.print_exc()
                why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                result["left_out"].append(f"{name}, which failed ({why})")
            gc.collect()  # one network at a time
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    write(ask.out, result)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())

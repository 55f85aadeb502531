"""What the scripts that measure on a GPU share: what they are asked, how they take turns, and how a result is written.

Such a script refuses to run without CUDA, and rehearses on a tiny network on the CPU: there, no number means anything.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch

from s2g.config.compose import compose_config
from s2g.config.schema import CHECKOUT
from s2g.engine.environment import machine
from s2g.engine.memory import begin_peak, peak
from s2g.engine.resolve import Outline, outline

OUT = CHECKOUT / "experiments" / "results" / "gpu"


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and on what."""

    device: torch.device
    batch: int
    steps: int
    repeats: int
    side: int  # of the matrix product that says what the peak is
    warm: int  # rounds before those that count


@dataclass(frozen=True)
class Asked:
    """What a command line asks for."""

    script: str
    typed: tuple[str, ...]
    rehearse: bool
    sizes: Sizes
    out: Path | None  # None: the result is printed alone
    frames: int = 1  # of a video

    @property
    def command(self) -> str:
        return shlex.join(["python", f"scripts/{self.script}.py", *self.typed])


def asked(
    script: str, about: str, typed: Sequence[str], full: tuple[int, int, int], tiny: tuple[int, int, int], frames: int = 1
) -> Asked | None:
    """Parse a script's options; None, and a line on stderr, without a CUDA GPU. full, tiny: batch, steps, repeats.

    frames: of a script that makes videos, how many; a rehearsal makes five.

    `full` are the options' defaults, and `tiny` the most that a rehearsal takes of them.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="a tiny network on the CPU; written only where --out says")
    parser.add_argument("--batch", type=int, default=full[0])
    parser.add_argument("--steps", type=int, default=full[1], help="of the sampler, that are timed")
    parser.add_argument("--repeats", type=int, default=full[2])
    parser.add_argument("--out", type=Path, help=f"folder of the result; {OUT.relative_to(CHECKOUT)} when not given")
    if frames > 1:
        parser.add_argument("--frames", type=int, default=frames, help="of a video, 4 k + 1: fewer where time is short")
    options = parser.parse_args(list(typed))
    frames = getattr(options, "frames", 1)
    if frames < 1 or frames % 4 != 1:
        parser.error("--frames is 1, 5, 9, ...")
    numbers = (options.batch, options.steps, options.repeats)
    if min(numbers) < 1:
        parser.error("--batch, --steps and --repeats are 1 or more")  # exits with 2
    if not options.rehearse and not torch.cuda.is_available():
        print("error: torch sees no CUDA GPU here; --rehearse runs a tiny network on the CPU", file=sys.stderr)
        return None
    if options.rehearse:
        torch.set_num_threads(1)  # on a machine that is busy, two threads wait for each other
        batch, steps, repeats = (min(pair) for pair in zip(numbers, tiny, strict=True))
        sizes, frames = Sizes(torch.device("cpu"), batch, steps, repeats, 128, 0), min(frames, 5)
        return Asked(script, tuple(typed), True, sizes, options.out, frames)
    return Asked(script, tuple(typed), False, Sizes(torch.device("cuda"), *numbers, 8192, 1), options.out or OUT, frames)


def run_of(*typed: str) -> Outline:
    """Compose a run's model, sampler and guidance, as a user would type it."""
    return outline(compose_config(*typed))


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Time `work` in seconds, including what it queued on the GPU; on a CPU the process's own, whatever else runs there."""
    if device.type != "cuda":
        began = time.process_time()
        work()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def matrix_peak(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """Measure the TFLOP/s of the best of ten square matrix products: what this GPU does, not what its data sheet says."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / min(timed(lambda: a @ b, device) for _ in range(10)) / 1e12


@dataclass(frozen=True)
class Turns:
    """What several ways of doing the same took, by round: seconds, and GB at the peak, weights included."""

    seconds: tuple[Mapping[str, float], ...]
    gigabytes: tuple[Mapping[str, float], ...]

    def median(self, way: str) -> float:
        """Return the median in seconds."""
        return median(each[way] for each in self.seconds)

    def ratios(self, way: str, to: str) -> list[float]:
        """Return by round the seconds over those of `to` in the same round, since a slow moment slows both."""
        return [each[way] / each[to] for each in self.seconds]

    def ratio(self, way: str, to: str) -> float:
        """Return the median of the ratios within rounds."""
        return median(self.ratios(way, to))

    def quartiles(self, way: str, to: str) -> tuple[float, float]:
        """Return the first and the third quartile of the ratios within rounds; of one round, its ratio twice."""
        found = self.ratios(way, to)
        if len(found) == 1:
            return found[0], found[0]
        first, _, third = quantiles(found, n=4, method="inclusive")
        return first, third

    def peak(self, way: str) -> float:
        """Return the most GB of any round."""
        return max(each[way] for each in self.gigabytes)


Way = Callable[[int], object]  # is told the number of the round, so that masks may be others in each; a warm-up's is 0


def rounds(ways: Mapping[str, Way], sizes: Sizes, until: float = math.inf) -> Iterator[Turns]:
    """Time all ways round by round, warm-up rounds apart, and yield what is known after each; each starts with another way.

    until: of time.monotonic(); no round begins that would end later, judged by the last one, but for the first that counts.
    """
    names, device, seconds, gigabytes, last = list(ways), sizes.device, [], [], 0.0
    for round_number in range(-sizes.warm, sizes.repeats):
        began = time.monotonic()
        if round_number > 0 and began + last > until:
            return
        took, held = {}, {}
        for shift in range(len(names)):
            name = names[(round_number + shift) % len(names)]
            begin_peak(device.type)
            took[name] = timed(partial(ways[name], max(round_number, 0)), device)
            held[name] = peak(device.type) / 1e9
        last = time.monotonic() - began
        if round_number >= 0:
            seconds.append(took)
            gigabytes.append(held)
            yield Turns(tuple(seconds), tuple(gigabytes))


def in_turn(ways: Mapping[str, Way], sizes: Sizes, until: float = math.inf) -> Turns:
    """Return what `rounds` knows after the last one."""
    *_, turns = rounds(ways, sizes, until)
    return turns


def result_of(ask: Asked, title: str, **values: Any) -> dict[str, Any]:
    """Add the provenance to a result: command, date, machine, torch and sizes."""
    return {
        "title": "REHEARSAL on a tiny network: no number means anything" if ask.rehearse else title,
        "command": ask.command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "torch": torch.__version__,
        "sizes": {name: getattr(ask.sizes, name) for name in ("batch", "steps", "repeats", "side")},
        **values,
    }


def page(result: Mapping[str, Any], head: Sequence[str], rows: Sequence[Sequence[str]], remarks: Sequence[str]) -> str:
    """Render a result as Markdown: its provenance, its table, and remarks, one paragraph each."""
    lines = [f"# {result['title']}", ""]
    lines += [f"`{result['command']}`, {result['date']}, {result['machine']}, torch {result['torch']}"]
    lines += ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([*lines, *(part for remark in remarks for part in ("", remark)), ""])


def write(ask: Asked, stem: str, result: Mapping[str, Any], text: str) -> None:
    """Write a page beside its numbers, as soon as there is a row; a rehearsal never takes a result's place."""
    if ask.out is not None:
        stem = "rehearsal" if ask.rehearse else stem
        ask.out.mkdir(parents=True, exist_ok=True)
        (ask.out / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n")
        (ask.out / f"{stem}.md").write_text(text)


def end(ask: Asked, text: str) -> None:
    """Print the page of all rows."""
    print(text)
    if ask.out is not None:
        print(f"written to {ask.out}")

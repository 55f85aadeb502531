"""`s2g verify-fid`: our FID, sFID, IS, precision and recall of a batch beside the official evaluator's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from s2g.benchmarks.distances import inception
from s2g.benchmarks.distances.batch import Batch
from s2g.benchmarks.distances.metrics import DISTANCES
from s2g.benchmarks.distances.reference import OFFICIAL, Reference
from s2g.benchmarks.imagenet.bench import SIDE, ImageNet
from s2g.config.schema import DEVICES
from s2g.engine.progress import progress
from s2g.errors import UserError, unknown
from s2g.report.tables import console_table
from s2g.scoring.score import CHUNK, estimate
from s2g.store.retention import spooled


@dataclass(frozen=True)
class Known:
    """The official evaluator's value for the public batch, and the tolerance of a correct port."""

    value: float
    within: float  # a PyTorch port is 0.001 off in FID (lavinal712/ADM-evaluation-suite-pytorch); the other tolerances are ours


# openai/guided-diffusion's ADM-G + ADM-U samples, 50,000 of 256 x 256, by its evaluator; published values.
PUBLIC = {
    "fid": Known(3.94256, 0.01),
    "sfid": Known(6.14043, 0.02),
    "is": Known(215.837, 0.5),
    "precision": Known(0.8265, 0.002),
    "recall": Known(0.5309, 0.005),
}
WRONG = 0.05  # a FID this far off means a different resize or different weights


def scores_of(batch: Batch, bench: ImageNet, device: str, console: Console) -> dict[str, float]:
    """Return the bench's metrics of a batch by name; features are spooled to a temporary file (1 GB for 50,000)."""

    def features() -> Iterator[np.ndarray]:
        with progress(console, len(batch), "reading") as bar:
            for images in batch.chunks(CHUNK):
                yield bench.extractor.read(images, device)
                bar.advance(len(images))

    with spooled(features()) as kept:
        arrays = bench.gather(kept, len(batch))
    unit_of = np.arange(len(batch)) // CHUNK
    return {metric.name: estimate(metric, arrays, unit_of).value for metric in bench.metrics}


def verify_fid(
    file: Annotated[
        Path, typer.Argument(metavar="PATH", help="ADM's public batch, or with --other any npz of 256x256 images.")
    ],
    weights: Annotated[
        str, typer.Option("--inception", help="Inception weights, as for bench.inception.")
    ] = "weights-inception-2015-12-05-6726825d.pth",
    reference: Annotated[
        str, typer.Option(help="Reference statistics, as for bench.reference.")
    ] = "VIRTUAL_imagenet256_labeled.npz",
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    other: Annotated[bool, typer.Option("--other", help="Print the numbers of another batch without comparing.")] = False,
) -> int:
    """Print our numbers beside the official ones; return 1 if they differ too much. UserError before any image is read."""
    console = Console(highlight=False)
    batch = Batch.of(file, "PATH")
    if batch.shape[1:3] != (SIDE, SIDE):
        raise UserError(f"PATH = {file}: images of {batch.shape[1]} x {batch.shape[2]}", allowed=f"{SIDE} x {SIDE}")
    if len(batch) < 2:
        raise UserError(f"PATH = {file}: {len(batch)} images", allowed="2 or more, for a covariance")
    if device not in DEVICES:
        raise unknown("--device", device, DEVICES)
    bench = ImageNet(num=len(batch), keep="features", score=tuple(PUBLIC), inception=weights, reference=reference)
    if not inception.identity(weights).startswith(inception.BEGINS):
        console.print(f"{weights}: not the official file, whose sha256 begins with {inception.BEGINS}", soft_wrap=True)
    Reference(reference, SIDE).check(images=True)
    console.print(f"{file}: {len(batch):,} images against {reference}", soft_wrap=True)
    found = scores_of(batch, bench, device, console)
    head = ["", "here", *([] if other else ["official evaluator", "difference", "allowed"])]
    rows = []
    for name, value in found.items():
        known = PUBLIC[name]
        compared = [f"{known.value:g}", f"{value - known.value:+.5f}", f"{known.within:g}"]
        rows.append([DISTANCES[name].metric.label, f"{value:.5f}", *([] if other else compared)])
    console.print(console_table(head, rows))
    if other:
        return 0
    said, code = verdict(found, len(batch))
    console.print(said, soft_wrap=True)
    return code


def verdict(found: Mapping[str, float], num: int) -> tuple[str, int]:
    """Return whether the numbers of ADM's public batch match the official ones, in words and as an exit code."""
    if num != 50_000:
        return (
            f"{num:,} images are not ADM's public batch of 50,000, so nothing to compare (--other prints them alone)",
            1,
        )
    off = [name for name, known in PUBLIC.items() if not abs(found[name] - known.value) <= known.within]
    if not off:
        return "equal to the official evaluator's, within the tolerances", 0
    far = "fid" in off and not abs(found["fid"] - PUBLIC["fid"].value) < WRONG
    cause = "; an FID this far off points to another resize, other weights or another reference" * far
    what = f"use ADM-G + ADM-U's batch and the reference {OFFICIAL}"
    return f"different from the official evaluator's: {', '.join(off)}{cause}; {what}", 1

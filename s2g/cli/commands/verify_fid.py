"""s2g export-npz and s2g verify-fid: a run's images as the ADM evaluator reads them, and our numbers of any such batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from s2g.benchmarks.imagenet import inception
from s2g.benchmarks.imagenet.batch import Batch, write_batch
from s2g.benchmarks.imagenet.bench import METRICS, SIDE, ImageNet
from s2g.benchmarks.imagenet.reference import OFFICIAL, Reference
from s2g.cli.commands.inventory import find_run
from s2g.config.schema import DEVICES
from s2g.engine.progress import progress
from s2g.engine.run import RANDOM
from s2g.errors import UserError, unknown
from s2g.report.tables import console_table
from s2g.scoring.score import CHUNK, estimate
from s2g.store.retention import spooled
from s2g.store.store import Store


@dataclass(frozen=True)
class Known:
    """What the official evaluator says of a public batch, and how far a right port may be from it."""

    value: float
    within: float  # a port in PyTorch is 0.001 off in FID (lavinal712/ADM-evaluation-suite-pytorch); the rest is ours


# openai/guided-diffusion's ADM-G + ADM-U samples, 50,000 of 256 x 256, by its evaluator; as published, not measured here.
PUBLIC = {
    "fid": Known(3.94256, 0.01),
    "sfid": Known(6.14043, 0.02),
    "is": Known(215.837, 0.5),
    "precision": Known(0.8265, 0.002),
    "recall": Known(0.5309, 0.005),
}
WRONG = 0.05  # a FID this far off means another resize or other weights


def export_npz(name: str, root: str, file: Path, num: int | None) -> None:
    """Write the first `num` images of a run as arr_0 of an npz, uint8 [N, H, W, 3], in item order.

    UserError where images were not kept, are not images, or are fewer.
    """
    console = Console(highlight=False)
    store = Store(find_run(name, root).resolve())
    about = store.read_run()
    unit = about["identity"]["model"]["unit"]
    count = about["num"] if num is None else num
    lacking = sorted(set(range(-(-count // unit))) - store.stored())
    if lacking:
        raise UserError(
            f"{store.shown()}: {len(lacking)} of the units of {count:,} items are missing, unit {lacking[0]} the first",
            allowed="--num, as many as are stored from the first on",
            todo=f"type the run's command again (with num={count})",
        )

    def chunks() -> Iterator[np.ndarray]:
        with progress(console, count, "writing") as bar:
            for start in range(0, count, CHUNK):
                images = store.items(range(start, min(start + CHUNK, count)))
                if images.dtype != np.uint8 or images.ndim != 4:
                    what = "videos" if images.dtype == np.uint8 else "points"
                    raise UserError(f"{store.shown()}: its items are {what}", allowed="runs of images")
                yield images
                bar.advance(len(images))

    if not file.absolute().parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.absolute().parent}", todo="make it, or give another FILE")
    write_batch(file, count, chunks())
    console.print(f"{file}: {count:,} images, {file.stat().st_size / 1e6:,.1f} MB", soft_wrap=True)
    if about.get("random_weights"):
        console.print(RANDOM, soft_wrap=True)


def scores_of(batch: Batch, bench: ImageNet, device: str, console: Console) -> dict[str, float]:
    """The bench's metrics of a batch, by name; its features lie in a temporary file meanwhile (1 GB for 50,000)."""

    def features() -> Iterator[np.ndarray]:
        with progress(console, len(batch), "reading") as bar:
            for images in batch.chunks(CHUNK):
                yield bench.sink.read(images, device)
                bar.advance(len(images))

    with spooled(features()) as kept:
        arrays = bench.gather(kept, len(batch))
    unit_of = np.arange(len(batch)) // CHUNK
    return {metric.name: estimate(metric, arrays, unit_of).value for metric in bench.metrics}


def verify_fid(file: Path, weights: str, reference: str, device: str, other: bool) -> int:
    """Our numbers of a batch beside the official evaluator's of ADM's public one; 1 if they are too far from them.

    other: it is another batch, so that there is nothing to compare. UserError, before any image is read, for what is missing.
    """
    console = Console(highlight=False)
    batch = Batch.of(file, "PATH")
    if batch.shape[1:3] != (SIDE, SIDE):
        raise UserError(f"PATH = {file}: images of {batch.shape[1]} x {batch.shape[2]}", allowed=f"{SIDE} x {SIDE}")
    if len(batch) < 2:
        raise UserError(f"PATH = {file}: {len(batch)} images", allowed="two or more, of which there is a covariance")
    if device not in DEVICES:
        raise unknown("--device", device, DEVICES)
    bench = ImageNet(num=len(batch), keep="features", score=tuple(PUBLIC), inception=weights, reference=reference)
    if not inception.identity(weights).startswith(inception.BEGINS):
        console.print(f"{weights}: not the official file, whose sha256 begins with {inception.BEGINS}", soft_wrap=True)
    Reference(reference, SIDE).check(images=True)
    console.print(f"{file}: {len(batch):,} images against {reference}", soft_wrap=True)
    found = scores_of(batch, bench, device, console)
    about = {metric.name: metric for metric in METRICS}
    head = ["", "here", *([] if other else ["official evaluator", "difference", "allowed"])]
    rows = []
    for name, value in found.items():
        known = PUBLIC[name]
        compared = [f"{known.value:g}", f"{value - known.value:+.5f}", f"{known.within:g}"]
        rows.append([about[name].label, f"{value:.5f}", *([] if other else compared)])
    console.print(console_table(head, rows))
    if other:
        return 0
    said, code = verdict(found, len(batch))
    console.print(said, soft_wrap=True)
    return code


def verdict(found: Mapping[str, float], num: int) -> tuple[str, int]:
    """Whether numbers of ADM's public batch are the official ones, in words and as an exit code."""
    if num != 50_000:
        return f"{num:,} images are not ADM's public batch of 50,000, so the numbers do not compare (--other)", 1
    off = [name for name, known in PUBLIC.items() if not abs(found[name] - known.value) <= known.within]
    if not off:
        return "as the official evaluator has them", 0
    far = "fid" in off and not abs(found["fid"] - PUBLIC["fid"].value) < WRONG
    cause = "; a FID so far off means another resize, other weights or another reference" * far
    what = f"the batch is to be ADM-G + ADM-U's, {OFFICIAL} the reference"
    return f"not as the official evaluator has them: {', '.join(off)}{cause}; {what}", 1

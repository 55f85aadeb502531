"""`s2g score-folder`: scores of images from any source, by the names of an official evaluator or against other images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from s2g.benchmarks.distances.metrics import DISTANCES
from s2g.benchmarks.folder.bench import Folder
from s2g.benchmarks.folder.measure import distances, remarks_of, samples
from s2g.benchmarks.listing import file_benches
from s2g.cli.commands.options import AllowMissing, BenchKeys, ScoringWorkers
from s2g.cli.commands.score import bench_keys
from s2g.config.schema import DEVICES, read
from s2g.engine.bench import Metric
from s2g.engine.pool import Pool
from s2g.engine.progress import progress
from s2g.errors import SeveralError, UserError, unknown
from s2g.io.cache import cache_folder
from s2g.report.number_text import INTERVALS, heading, with_interval
from s2g.report.tables import console_table
from s2g.scoring.file_scoring import PLACE
from s2g.scoring.image_folder import look
from s2g.scoring.score import estimate
from s2g.scoring.scoring_pool import ScoringPool

OF_SAMPLING = ("num", "keep", "path", "text", "seeds", "classes", "reference")  # what bench=folder asks a model for, and B


def score_folder(
    folder: Annotated[
        Path,
        typer.Argument(help="Any images with --reference; else in the layout of s2g export, FOLDER/STYLE/NNNNN.jpg."),
    ],
    keys: BenchKeys = None,
    bench: Annotated[
        str | None, typer.Option(help="Benchmark layout and scorer: compbench, dpg, geneval2 or hps (where none is named).")
    ] = None,
    allow_missing: AllowMissing = False,
    workers: ScoringWorkers = None,
    reference: Annotated[
        str, typer.Option(help="Folder or .tar of images to compare with: FID, KID, precision, recall (bench=folder).")
    ] = "",
    device: Annotated[str, typer.Option(help="With --reference: cpu, cuda or auto.")] = "auto",
) -> None:
    """Score a folder and print means; UserError listing missing, extra and unreadable images."""
    console = Console(highlight=False)
    if reference:
        typed = (
            ("--bench", bench not in (None, "folder")),
            ("--allow-missing", allow_missing),
            ("--workers", workers is not None),
        )
        for option, given in typed:
            if given:
                raise UserError(f"{option}, and --reference: it would not be read", todo=f"leave out {option} or --reference")
        score_against(console, folder, reference, bench_keys(keys or []), device)
        return
    if device != "auto":
        raise UserError("--device: it would not be read without --reference", todo=f"bench.device={device}")
    bench, benches = bench or "hps", file_benches("images")
    if bench not in benches:
        raise unknown("--bench", bench, benches)
    settings = bench_keys(keys or [])
    settings = {**settings, "allow_missing": allow_missing or settings.get("allow_missing", False)}
    scorer = read(benches[bench], settings, "bench")  # type: ignore[type-var]
    errors = scorer.lacking()
    if not folder.is_dir():
        errors.insert(0, UserError(f"{folder}: no such folder", allowed="a folder as s2g export RUN FOLDER writes it"))
    if errors:
        raise SeveralError.of(errors)
    todo = "add what is missing and move other files away; or --allow-missing scores the images that exist, labeled as partial"
    names = [scorer.official_name(item) for item in range(scorer.num)]
    images = look(scorer.one_image_each(folder), names).check(str(folder), scorer.num, scorer.allow_missing, todo)
    with Pool(workers) as pool:
        arrays = scorer.judge(images, scorer.num, cache_folder() / PLACE, ScoringPool(lambda: pool.executor, console).answer)
    rows = [[metric.label, mean_of(metric, arrays), str(count_of(metric, arrays))] for metric in scorer.metrics]
    console.print(console_table([str(folder), "mean", "images"], rows))
    for remark in scorer.remarks(scorer.num, arrays):
        console.print(remark, soft_wrap=True, markup=False)


def score_against(console: Console, folder: Path, reference: str, settings: Mapping[str, Any], device: str) -> None:
    """Print distances of a folder's images from a reference's; UserError before any network is loaded."""
    if not folder.exists():
        raise UserError(f"{folder}: no such folder", allowed="a folder or .tar of images")
    if device not in DEVICES:
        raise unknown("--device", device, DEVICES)
    for key in OF_SAMPLING:
        if key in settings:
            raise UserError(f"bench.{key}, and a folder of images: it would not be read", todo=f"leave out bench.{key}")
    bench = read(Folder, {**settings, "reference": reference}, "bench")
    if not bench.metrics:
        raise UserError("bench.score = []: nothing to score", allowed=", ".join(DISTANCES))
    images = samples(folder, bench)
    with progress(console, len(images), "reading") as bar:
        arrays = distances(images, bench, device, bar.advance)
    units = np.arange(len(images))
    rows = [[heading(one), with_interval(estimate(one, arrays, units), one.digits)] for one in bench.metrics]
    console.print(console_table([f"{folder} against {reference}", "value"], rows))
    console.print(f"{INTERVALS} over the folder's images; recall has none", soft_wrap=True)
    for remark in remarks_of(images, bench, arrays):
        console.print(remark, soft_wrap=True, markup=False)


def mean_of(metric: Metric, arrays: dict[str, np.ndarray]) -> str:
    """Return a metric's mean as text; a dash if it has no image."""
    assert metric.items is not None
    value = float(np.mean(metric.items(arrays)))
    return "–" if np.isnan(value) else f"{value:.{metric.digits}f}"


def count_of(metric: Metric, arrays: dict[str, np.ndarray]) -> int:
    """Return the number of images a metric averages."""
    return int((arrays["here"] if metric.subset is None else arrays["here"] & metric.subset(arrays)).sum())

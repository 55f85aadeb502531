"""`s2g score-folder`: scores of images from any source, named as an official evaluator names them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from s2g.benchmarks.listing import file_benches
from s2g.cli.commands.options import AllowMissing, BenchKeys, ScoringWorkers
from s2g.cli.commands.score import bench_keys
from s2g.config.schema import read
from s2g.engine.bench import Metric
from s2g.engine.pool import Pool
from s2g.errors import SeveralError, UserError, unknown
from s2g.io.cache import cache_folder
from s2g.report.tables import console_table
from s2g.scoring.file_scoring import PLACE
from s2g.scoring.image_folder import look
from s2g.scoring.scoring_pool import ScoringPool


def score_folder(
    folder: Annotated[Path, typer.Argument(help="Images in the layout that s2g export writes, e.g. FOLDER/STYLE/NNNNN.jpg.")],
    keys: BenchKeys = None,
    bench: Annotated[str, typer.Option(help="Benchmark layout and scorer: hps or compbench.")] = "hps",
    allow_missing: AllowMissing = False,
    workers: ScoringWorkers = None,
) -> None:
    """Score a folder and print means; UserError listing missing, extra and unreadable images."""
    console = Console(highlight=False)
    benches = file_benches("images")
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
    images = look(folder, names).check(str(folder), scorer.num, scorer.allow_missing, todo)
    with Pool(workers) as pool:
        arrays = scorer.judge(images, scorer.num, cache_folder() / PLACE, ScoringPool(lambda: pool.executor, console).answer)
    rows = [[metric.label, mean_of(metric, arrays), str(count_of(metric, arrays))] for metric in scorer.metrics]
    console.print(console_table([str(folder), "mean", "images"], rows))
    for remark in scorer.remarks(scorer.num, arrays):
        console.print(remark, soft_wrap=True, markup=False)


def mean_of(metric: Metric, arrays: dict[str, np.ndarray]) -> str:
    """Return a metric's mean as text; a dash if it has no image."""
    assert metric.items is not None
    value = float(np.mean(metric.items(arrays)))
    return "–" if np.isnan(value) else f"{value:.{metric.digits}f}"


def count_of(metric: Metric, arrays: dict[str, np.ndarray]) -> int:
    """Return the number of images a metric averages."""
    return int((arrays["here"] if metric.subset is None else arrays["here"] & metric.subset(arrays)).sum())

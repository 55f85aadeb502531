"""s2g score-folder FOLDER: scores of images that anybody made, under the names of an official evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from s2g.benchmarks.compbench.bench import CompBench
from s2g.benchmarks.compbench.prompts import CATEGORIES
from s2g.benchmarks.hps.bench import HPS21
from s2g.cli.commands.score import bench_keys
from s2g.config.schema import read
from s2g.engine.bench import Metric
from s2g.engine.pool import Pool
from s2g.errors import SeveralError, UserError, unknown
from s2g.io.cache import cache_folder
from s2g.report.tables import console_table
from s2g.scoring.file_scoring import PLACE
from s2g.scoring.image_folder import look
from s2g.scoring.scoring_pool import Crew

BENCHES: Mapping[str, Callable[..., Any]] = {"hps": HPS21, "compbench": CompBench}
PARTS = {"anime": ("style", 0), "concept": ("style", 1), "paintings": ("style", 2), "photo": ("style", 3)}
PARTS |= {name: ("category", at) for at, name in enumerate(CATEGORIES)}  # by metric; the others are over all images


def score_folder(folder: Path, name: str, typed: Sequence[str], allow_missing: bool, workers: int | None) -> None:
    """Score images with the bench's knobs as typed; UserError with the list if images lack or are too many."""
    console = Console(highlight=False)
    if name not in BENCHES:
        raise unknown("--bench", name, BENCHES)
    keys = bench_keys(typed)
    bench: Any = read(BENCHES[name], {**keys, "allow_missing": allow_missing or keys.get("allow_missing", False)}, "bench")  # type: ignore[type-var]
    errors = bench.lacking()
    if not folder.is_dir():
        errors.insert(0, UserError(f"{folder}: no such folder", allowed="a folder as s2g export RUN FOLDER writes it"))
    if errors:
        raise SeveralError.of(errors)
    todo = "complete it, move away what does not belong there; or --allow-missing scores the images that are there, labelled"
    names = [bench.official_name(item) for item in range(bench.num)]
    images = look(folder, names).check(str(folder), bench.num, bench.allow_missing, todo)
    with Pool(workers) as pool:
        arrays = bench.judge(images, bench.num, cache_folder() / PLACE, Crew(lambda: pool.executor, console).asked)
    rows = [[metric.label, mean_of(metric, arrays), str(count_of(metric, arrays))] for metric in bench.metrics]
    console.print(console_table([str(folder), "mean", "images"], rows))
    for remark in bench.remarks(bench.num, arrays):
        console.print(remark, soft_wrap=True, markup=False)


def mean_of(metric: Metric, arrays: dict[str, np.ndarray]) -> str:
    """A metric's mean as it is printed; a dash where nothing was there."""
    assert metric.items is not None
    value = float(np.mean(metric.items(arrays)))
    return "–" if np.isnan(value) else f"{value:.{metric.digits}f}"


def count_of(metric: Metric, arrays: dict[str, np.ndarray]) -> int:
    """How many images a metric is over."""
    if metric.name not in PARTS:
        return int(arrays["here"].sum())
    array, at = PARTS[metric.name]
    return int((arrays["here"] & (arrays[array] == at)).sum())

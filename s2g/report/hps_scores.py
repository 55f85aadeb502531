"""What `s2g score-folder` and `s2g compare-scorers` say of HPS scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from s2g.benches.hps import HPS21
from s2g.cached import cache_folder
from s2g.config import read
from s2g.engine.bench import Metric
from s2g.engine.judged import PLACE, Image, todo_of
from s2g.engine.judged import look as look_at_store
from s2g.engine.pool import Pool
from s2g.engine.spread import Crew
from s2g.engine.store import Store
from s2g.engine.stored import stored_run
from s2g.errors import SeveralError, UserError
from s2g.hps.folder import look
from s2g.report.inventory import find_run
from s2g.report.score import bench_keys
from s2g.report.table import console_table


def score_folder(folder: Path, typed: Sequence[str], allow_missing: bool, workers: int | None) -> None:
    """Score ROOT/STYLE/NNNNN.jpg with the bench's knobs as typed; UserError with the list if images lack or are too many."""
    console = Console(highlight=False)
    bench = read(HPS21, {**bench_keys(typed), "allow_missing": allow_missing}, "bench")
    errors = bench.lacking()
    if not folder.is_dir():
        errors.insert(0, UserError(f"{folder}: no such folder", allowed="a folder of anime/00000.jpg, …"))
    if errors:
        raise SeveralError.of(errors)
    todo = "complete it, move away what does not belong there; or --allow-missing scores the images that are there, labelled"
    entries = [bench.place(item) for item in range(bench.num)]
    images = look(folder, entries).check(str(folder), bench.num, allow_missing, todo)
    with Pool(workers) as pool:
        arrays = bench.judge(images, bench.num, cache_folder() / PLACE, Crew(lambda: pool.executor, console).asked)
    rows = [[metric.label, _mean(metric, arrays), str(_count(metric, arrays))] for metric in bench.metrics]
    console.print(console_table([str(folder), "mean", "images"], rows))
    for remark in bench.remarks(bench.num, arrays):
        console.print(remark, soft_wrap=True, markup=False)


def compare_scorers(name: str, root: str, num: int | None, workers: int | None = None) -> None:
    """A run's images by our scorer and by the official package: means by style, and how far apart single images are."""
    console = Console(highlight=False)
    store = Store(find_run(name, root).resolve())
    run = stored_run(store, {}, num)
    if not isinstance(run.bench, HPS21):
        raise UserError(f"{name}: it is no run of bench=hps", todo="s2g status lists runs")
    ours, theirs = (replace(run.bench, score=("hps",), scorer=scorer) for scorer in ("hps", "official"))
    errors = theirs.lacking()
    if errors:
        raise SeveralError.of(errors)
    images = look_at_store(store, run.num).check(store.shown(), run.num, run.bench.allow_missing, todo_of(store))
    with Pool(workers) as pool:
        asked = Crew(lambda: pool.executor, console).asked
        both = [bench.judge(images, run.num, store.folder / PLACE, asked) for bench in (ours, theirs)]
    rows = [
        [metric.label, *(_mean(metric, arrays) for arrays in both), str(_count(metric, both[0]))] for metric in ours.metrics
    ]
    knobs = f"antialias={str(ours.antialias).lower()}, {ours.dtype}"
    console.print(console_table([f"n = {len(images)}", f"ours ({knobs})", "official hpsv2", "images"], rows))
    remarks = dict.fromkeys(r for b, arrays in zip((ours, theirs), both, strict=True) for r in b.remarks(run.num, arrays))
    for remark in remarks:
        console.print(remark, soft_wrap=True, markup=False)
    console.print(differences_line(images, both[0]["hps"], both[1]["hps"]), soft_wrap=True)


def differences_line(images: Sequence[Image], ours: np.ndarray, theirs: np.ndarray) -> str:
    """Ours minus theirs over the images that are there, in words."""
    apart = (ours - theirs)[[image.item for image in images]]
    worst = int(np.abs(apart).argmax())
    return (
        f"ours minus official: mean {apart.mean():+.5f}, largest {np.abs(apart).max():.5f} (item {images[worst].item}), "
        f"deviation {apart.std():.5f}, over {len(images)} images"
    )


def _mean(metric: Metric, arrays: dict[str, np.ndarray]) -> str:
    assert metric.items is not None
    value = float(np.mean(metric.items(arrays)))
    return "–" if np.isnan(value) else f"{value:.{metric.digits}f}"


def _count(metric: Metric, arrays: dict[str, np.ndarray]) -> int:
    assert metric.items is not None
    only = {name: values[arrays["here"]] for name, values in arrays.items()}
    styles = {"anime": 0, "concept": 1, "paintings": 2, "photo": 3}
    return int((only["style"] == styles[metric.name]).sum()) if metric.name in styles else int(only["here"].sum())

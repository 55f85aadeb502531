"""`s2g compare-scorers`: our HPS scorer and the official hpsv2 package on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console

from s2g.benchmarks.hps.bench import HPS21
from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.options import FirstImages, Runs, ScoringWorkers, StoredRun
from s2g.cli.commands.score_folder import count_of, mean_of
from s2g.engine.pool import Pool
from s2g.errors import SeveralError, UserError
from s2g.report.tables import console_table
from s2g.scoring.file_scoring import PLACE, Image, look, todo_of
from s2g.scoring.scoring_pool import ScoringPool
from s2g.store.store import Store
from s2g.store.stored_run import stored_run


def compare_scorers(run: StoredRun, runs: Runs = "runs", num: FirstImages = None, workers: ScoringWorkers = None) -> None:
    """Score a run's images with both; print means by style and per-image differences."""
    console = Console(highlight=False)
    store = Store(find_run(run, runs).resolve())
    stored = stored_run(store, {}, num)
    if not isinstance(stored.bench, HPS21):
        raise UserError(f"{run}: not a run of bench=hps", todo="s2g status lists runs")
    ours = replace(stored.bench, score=("hps",), scorer="hps")
    theirs = replace(
        ours, scorer="official", antialias=None, dtype=None, device="auto"
    )  # the official package has no such settings
    errors = theirs.lacking()
    if errors:
        raise SeveralError.of(errors)
    images = look(store, stored.num).check(store.display_path(), stored.num, stored.bench.allow_missing, todo_of(store))
    with Pool(workers) as pool:
        answer = ScoringPool(lambda: pool.executor, console).answer
        both = [bench.judge(images, stored.num, store.folder / PLACE, answer) for bench in (ours, theirs)]
    rows = [
        [metric.label, *(mean_of(metric, arrays) for arrays in both), str(count_of(metric, both[0]))] for metric in ours.metrics
    ]
    console.print(console_table([f"n = {len(images)}", f"ours ({ours._clip.knobs})", "official hpsv2", "images"], rows))
    remarks = dict.fromkeys(r for b, arrays in zip((ours, theirs), both, strict=True) for r in b.remarks(stored.num, arrays))
    for remark in remarks:
        console.print(remark, soft_wrap=True, markup=False)
    console.print(differences_line(images, both[0]["hps"], both[1]["hps"]), soft_wrap=True)


def differences_line(images: Sequence[Image], ours: np.ndarray, theirs: np.ndarray) -> str:
    """Return a sentence on ours minus theirs: mean, largest and standard deviation over `images`."""
    apart = (ours - theirs)[[image.item for image in images]]
    worst = int(np.abs(apart).argmax())
    return (
        f"ours minus official: mean {apart.mean():+.5f}, largest {np.abs(apart).max():.5f} (item {images[worst].item}), "
        f"deviation {apart.std():.5f}, over {len(images)} images"
    )

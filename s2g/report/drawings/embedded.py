"""Features of images and of real ones in one t-SNE (Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2g.benchmarks.two_class.bench import PairBench
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.specification import Profile, RunSpec
from s2g.report.drawing import Arrays, first_runs
from s2g.scoring.score import score
from s2g.store.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASSES = "classes"  # beside the places, what the classes are called


@dataclass(frozen=True)
class Embedded:
    """Up to `limit` images of every row, and the real ones, in one plane; of the first group."""

    limit: int = 3000
    seed: int = 0
    rows: tuple[str, ...] = ()  # which rows; all, if none is named

    @property
    def alt(self) -> str:
        return "t-SNE of the features of every row's images over contours of the real ones"

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        from s2g.report.embedding import embed

        found, bench = {}, None
        for (_, row), place in first_runs(rows, runs).items():
            run = runs[place]
            if self.rows and row not in self.rows:
                continue
            if not isinstance(run.bench, PairBench):
                raise UserError("drawing.kind = embedding: features of images are drawn", allowed="bench=digits, cifar")
            arrays = score(run, Store.of(run, root)).arrays
            found[row] = arrays["features"], arrays["label"]
            bench = run.bench
        assert bench is not None
        names = np.array([bench.caption(item) for item in range(bench.cycle)])
        return {**embed(*bench.real(), found, self.seed, self.limit), CLASSES: names}

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        from s2g.report.embedding import embedding_figure

        group = next(iter(profile.groups.values()))
        labels = {row: line.label for row, line in profile.rows.items()}
        places = {name: value for name, value in arrays.items() if name != CLASSES}
        return embedding_figure(places, labels, group.label, arrays[CLASSES].tolist())

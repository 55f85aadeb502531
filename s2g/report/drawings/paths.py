"""Trajectories of points from noise to data, in one dimension (Figure 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2g.engine.run import Run
from s2g.experiments.specification import Profile, RunSpec
from s2g.report.drawing import Arrays, first_runs
from s2g.report.drawings.samples import mixture_of, ticks, truth_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Paths:
    """The first `count` items of each row."""

    count: int = 64

    @property
    def alt(self) -> str:
        return "trajectories of points from noise to data under every row, and the mixture at the end"

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        from s2g.engine.trajectory import trajectories

        arrays: dict[str, np.ndarray] = {}
        for (group, row), index in first_runs(rows, runs).items():
            arrays[f"{group}/{row}/points"] = trajectories(runs[index], self.count)
            arrays |= {f"{group}/{row}/{name}": value for name, value in truth_of(runs[index]).items()}
        return arrays

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        from matplotlib.figure import Figure

        from s2g.report.plots import COLOURS

        shown = [
            (f"{group}/{row}", line.label)
            for group in profile.groups
            for row, line in profile.rows.items()
            if f"{group}/{row}/points" in arrays
        ]
        figure = Figure(figsize=(1.75 * len(shown) + 0.5, 3.6), layout="constrained")
        tops, ends = figure.subplots(2, len(shown), squeeze=False, sharex=True, height_ratios=[4, 1])
        half = max(np.abs(arrays[f"{name}/points"]).max() for name, _ in shown) + 0.2
        x = np.linspace(-half, half, 601)
        for top, end, (name, label) in zip(tops, ends, shown, strict=True):
            states, mixture = arrays[f"{name}/points"][..., 0], mixture_of(arrays, name)
            for item, path in enumerate(states):
                top.plot(path, np.arange(len(path)), color=COLOURS[1 + item % mixture.num_classes], linewidth=0.5, alpha=0.7)
            for mean in mixture.means[:, 0]:
                top.axvline(mean, color="#000000", linewidth=0.6, linestyle=":")
                end.axvline(mean, color="#000000", linewidth=0.6, linestyle=":")
            top.set(title=label, ylim=(len(states[0]) - 1, 0), xlim=(-half, half))
            top.title.set_fontsize(8)
            end.fill_between(x, mixture.density(x[:, None]), color="#CCCCCC", linewidth=0)
            for kind in range(mixture.num_classes):
                final = states[np.arange(len(states)) % mixture.num_classes == kind, -1]
                style = {"color": COLOURS[1 + kind], "markersize": 7, "markeredgewidth": 0.7}
                end.plot(final, np.zeros(len(final)), "|", **style)
            end.set(xticks=ticks(mixture), yticks=[], ylim=(-0.08, None))
            for axis in (top, end):
                axis.tick_params(labelsize=7)
            if top is not tops[0]:
                top.set_yticklabels([])
        tops[0].set_ylabel("step", fontsize=8)
        figure.supxlabel("state; below: where it ends, and the mixture", fontsize=8)
        return figure

"""What leaving out each block changes, block by block and noise level by noise level (Sections 3.1 and 4.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2g.engine.run import Run
from s2g.experiments.specification import Profile, RunSpec
from s2g.experiments.studies.redundancy import Redundancy, by_block
from s2g.experiments.studies.study import read_study
from s2g.metrics.statistics import over_seeds
from s2g.report.drawing import Arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {  # label, and within which distance of 0 an axis that reaches below it is no longer logarithmic
    "change": ("change of the prediction %", 1.0),
    "excess": ("excess denoising loss %", 1.0),
    "gain": ("loss lowered by a step away %", 0.1),
}


@dataclass(frozen=True)
class Blocks:
    """A column of panels for each group and a line for each row; bars are 95 % t intervals over a row's runs."""

    @property
    def alt(self) -> str:
        return "what leaving out a block does to the prediction and its loss, over blocks, a line for each noise level"

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        found: dict[str, list[np.ndarray]] = {}
        for index, run in runs.items():
            study = read_study("redundancy", rows[index].study)
            assert isinstance(study, Redundancy)
            seen = by_block(run, study)
            for part in PARTS:
                found.setdefault(f"{rows[index].group}/{rows[index].row}/{part}", []).append(getattr(seen, part))
        return {name: np.stack(values).astype(np.float32) for name, values in found.items()}  # [runs, blocks]

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        from matplotlib.figure import Figure

        groups = [group for group in profile.groups if any(name.startswith(f"{group}/") for name in arrays)]
        figure = Figure(figsize=(max(5.6, 0.8 + 3.4 * len(groups)), 0.4 + 2.5 * len(PARTS)), layout="constrained")
        axes = figure.subplots(len(PARTS), len(groups), squeeze=False, sharex="col", sharey="row")
        for column, group in enumerate(groups):
            for place, part in enumerate(PARTS):
                self._panel(axes[place, column], profile, arrays, group, part)
            axes[0, column].set_title(profile.groups[group].label)
            axes[-1, column].set_xlabel("block that is left out")
        for place, (part, (label, near)) in enumerate(PARTS.items()):
            axes[place, 0].set_ylabel(label)
            drawn = [values for name, values in arrays.items() if name.endswith(f"/{part}")]
            self._scale(axes[place], near, all((values.mean(0) > 0).all() for values in drawn))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3 if len(groups) == 1 else len(labels), fontsize=8)
        return figure

    def _panel(self, axis: Axes, profile: Profile, arrays: Arrays, group: str, part: str) -> None:
        from matplotlib.ticker import MaxNLocator

        from s2g.report.plots import COLOURS, MARKERS

        for at, (row, line) in enumerate(profile.rows.items()):
            values = arrays.get(f"{group}/{row}/{part}")
            if values is None:
                continue
            means = [over_seeds(list(100 * values[:, block].astype(float))) for block in range(values.shape[1])]
            y = np.array([found.value for found in means])
            reach = np.array([0.0 if found.high is None else found.high - found.value for found in means])
            axis.errorbar(
                range(len(y)),
                y,
                yerr=reach,
                color=COLOURS[at % len(COLOURS)],
                marker=MARKERS[at % len(MARKERS)],
                markersize=3.5,
                linewidth=1.0,
                capsize=1.5,
                label=line.label,
            )
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))

    def _scale(self, axes: Sequence[Axes], near: float, positive: bool) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        for axis in axes:
            if positive:
                axis.set_yscale("log")
                axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.yaxis.set_minor_formatter(NullFormatter())
            else:
                axis.set_yscale("symlog", linthresh=near)
                axis.axhline(0, color="#888888", linewidth=0.8, zorder=0)
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

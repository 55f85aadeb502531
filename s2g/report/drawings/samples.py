"""Samples of a mixture over its density: histograms in one dimension, dots in two (Figures 3 and 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.specification import Profile, RunSpec
from s2g.report.drawing import Arrays, first_runs
from s2g.store.store import Store
from s2g.worlds.mixtures.mixture import Mixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 96


@dataclass(frozen=True)
class Samples:
    """The first `count` points of each row, coloured by class."""

    count: int = 2000
    rows: tuple[str, ...] = ()  # default: all; the name of a sweep stands for all of its rows

    @property
    def alt(self) -> str:
        return "points of every row with the mixture behind them"

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        for (group, row), index in first_runs(rows, runs).items():
            if self.rows and row.partition("@")[0] not in self.rows:
                continue
            run = runs[index]
            arrays[f"{group}/{row}/points"] = Store.of(run, root).items(range(min(self.count, run.num)))
            arrays |= {f"{group}/{row}/{name}": value for name, value in truth_of(run).items()}
        return arrays

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        from matplotlib.figure import Figure

        panels = panels_of(profile, arrays)
        across = list(dict.fromkeys(column for _, column in panels))
        down = list(dict.fromkeys(line for line, _ in panels))
        figure = Figure(figsize=(1.95 * len(across) + 0.4, 1.95 * len(down) + 0.4), layout="constrained")
        axes = figure.subplots(len(down), len(across), squeeze=False)
        for axis in axes.flat:
            axis.set_visible(False)
        for (line, column), name in panels.items():
            axis = axes[down.index(line), across.index(column)]
            axis.set_visible(True)
            mixture, points = mixture_of(arrays, name), arrays[f"{name}/points"]
            (_density if mixture.dimensions == 1 else _scatter)(
                axis, mixture, points, half_width(arrays, panels, mixture.dimensions)
            )
            if down.index(line) == min(down.index(other) for other, of in panels if of == column):
                axis.set_title(column, fontsize=8)
            if across.index(column) == min(across.index(of) for other, of in panels if other == line):
                axis.set_ylabel(line, fontsize=8)
        return figure


def truth_of(run: Run) -> dict[str, Any]:
    """Return the mixture of a run's bench as arrays; UserError if the bench has none."""
    mixture = getattr(run.bench, "mixture", None)
    if not isinstance(mixture, Mixture):
        raise UserError("drawing.kind: points of a mixture are drawn", allowed="bench=gmm")
    return {"means": mixture.means, "std": np.array(mixture.std), "labels": mixture.labels}


def mixture_of(arrays: Arrays, name: str) -> Mixture:
    """Return the mixture from the arrays of `truth_of`."""
    means, std, labels = (arrays[f"{name}/{part}"] for part in ("means", "std", "labels"))
    return Mixture(means, float(std), labels)


def panels_of(profile: Profile, arrays: Arrays) -> dict[tuple[str, str], str]:
    """Return the arrays' name by (line, column) of its panel: groups down and rows across, or a sweep's values down."""
    panels = {}
    for name, group in profile.groups.items():
        for row, line in profile.rows.items():
            if f"{name}/{row}/points" not in arrays:
                continue
            value = line.label.removeprefix(line.point_of).lstrip(", ") if line.point_of else ""
            words = [group.label] * (len(profile.groups) > 1) + [value] * bool(value)
            panels[" ".join(words) or group.label, line.point_of or line.label] = f"{name}/{row}"
    return panels


def half_width(arrays: Arrays, panels: Mapping[Any, str], dimensions: int) -> float:
    """Return half the width of all panels of `dimensions` dimensions: it holds the modes and 99.9 % of the coordinates."""
    names = [name for name in panels.values() if arrays[f"{name}/points"].shape[1] == dimensions]
    far = max(float(np.quantile(np.abs(arrays[f"{name}/points"]), 0.999)) for name in names)
    return max(far, *(float(np.abs(arrays[f"{name}/means"]).max() + 3 * arrays[f"{name}/std"]) for name in names)) + 0.2


def ticks(mixture: Mixture) -> list[float]:
    """Return the coordinates of the modes, and 0."""
    return sorted({0.0, *mixture.means.flatten().tolist()})


def _density(axis: Axes, mixture: Mixture, points: np.ndarray, half: float) -> None:
    from s2g.report.plots import COLOURS

    x = np.linspace(-half, half, 801)
    axis.fill_between(x, mixture.density(x[:, None]), color="#CCCCCC", linewidth=0)
    axis.hist(points[:, 0], bins=np.linspace(-half, half, BINS + 1).tolist(), density=True, histtype="step", color=COLOURS[1])
    for mean in mixture.means[:, 0]:
        axis.axvline(mean, color="#000000", linewidth=0.6, linestyle=":")
    axis.set(xlim=(-half, half), xticks=ticks(mixture), yticks=[], ylim=(0, 2.0 * mixture.density(mixture.means).max()))
    axis.tick_params(labelsize=7)


def _scatter(axis: Axes, mixture: Mixture, points: np.ndarray, half: float) -> None:
    from s2g.report.plots import COLOURS

    side = np.linspace(-half, half, 121)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    heights = mixture.density(grid).reshape(len(side), len(side))
    top = mixture.density(mixture.means).max()
    rings = [top * np.exp(-(k**2) / 2) for k in (3, 2, 1)]  # density at 1, 2 and 3 standard deviations from a mode
    axis.contourf(side, side, heights, [*rings, 2 * top], colors=["#E4E4E4", "#CACACA", "#ABABAB"])
    label = np.arange(len(points)) % mixture.num_classes
    for index in range(mixture.num_classes):
        own = points[label == index]
        axis.plot(own[:, 0], own[:, 1], ".", color=COLOURS[1 + index], markersize=1.6, markeredgewidth=0, rasterized=True)
    axis.plot(mixture.means[:, 0], mixture.means[:, 1], "+", color="#000000", markersize=6, markeredgewidth=0.8)
    axis.set(xlim=(-half, half), ylim=(-half, half), xticks=ticks(mixture), yticks=ticks(mixture), aspect="equal")
    axis.tick_params(labelsize=7)

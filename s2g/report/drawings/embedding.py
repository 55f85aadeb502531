"""Features of real and generated images in one plane (Figure 4): t-SNE, drawn as points over the real images' density.

t-SNE keeps neighbours and nothing else: distances between clusters, their sizes and their areas mean little (van der Maaten
and Hinton 2008), and positions are comparable only within one embedding. So all methods share one.
"""

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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASSES = "classes"  # array of class names
REAL = "real"  # array of the real images
PERPLEXITY = 30.0  # scikit-learn's default; a tenth of the points if there are fewer than 300
ACROSS = 4  # panels in a row
MARGIN = 0.1  # around the points, for the contours
GRID = 100  # points a side on which a density is drawn
BANDWIDTH = 0.25  # of the density, in standard deviations of a class: clusters within a class stay apart
INSIDE = (0.9, 0.6, 0.3)  # shares of a class's real images inside its contours


@dataclass(frozen=True)
class Embedding:
    """Up to `limit` images of every row of the first group, and of the real ones, in one plane."""

    limit: int = 3000
    seed: int = 0
    rows: tuple[str, ...] = ()  # default: all

    @property
    def alt(self) -> str:
        return "t-SNE of the features of every row's images over contours of the real ones"

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        generated, bench = {}, None
        for (_, row), index in first_runs(rows, runs).items():
            run = runs[index]
            if self.rows and row not in self.rows:
                continue
            if not isinstance(run.bench, PairBench):
                raise UserError("drawing.kind = embedding: features of images are drawn", allowed="bench=digits, cifar")
            arrays = score(run, Store.of(run, root)).arrays
            generated[row] = arrays["features"], arrays["label"]
            bench = run.bench
        assert bench is not None
        names = np.array([bench.caption(item) for item in range(bench.cycle)])
        return {**embed(*bench.real(), generated, self.seed, self.limit), CLASSES: names}

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        group = next(iter(profile.groups.values()))
        labels = {row: spec.label for row, spec in profile.rows.items()}
        points = {name: value for name, value in arrays.items() if name != CLASSES}
        return embedding_figure(points, labels, group.label, arrays[CLASSES].tolist())


def embed(
    real: np.ndarray,
    real_label: np.ndarray,
    generated: Mapping[str, tuple[np.ndarray, np.ndarray]],
    seed: int = 0,
    limit: int = 3000,
) -> dict[str, np.ndarray]:
    """Return the position and class of every image, float32 [N, 3] (x, y, class), by method; of the real ones as "real".

    One joint t-SNE of real features [M, D] with classes [M] and every method's features [N, D] and classes [N], initialized
    from principal components with a fixed seed: on one machine the same features give the same positions.
    limit: maximum of each set: a method's first images, real ones evenly thinned (they may be ordered by class).
    Raise ValueError if features and classes differ in number, or a method is called "real".
    """
    from sklearn.manifold import TSNE  # two seconds to load

    if REAL in generated:
        raise ValueError(f"a method called {REAL}: that is what the real images are called")
    thinned = np.linspace(0, len(real) - 1, min(len(real), limit)).round().astype(int)
    sets = {REAL: (real[thinned], real_label[thinned])}
    sets |= {name: (features[:limit], label[:limit]) for name, (features, label) in generated.items()}
    for name, (features, label) in sets.items():
        if len(features) != len(label):
            raise ValueError(f"{name}: {len(features)} features and {len(label)} classes")
    rows = np.concatenate([features for features, _ in sets.values()]).astype(np.float64)
    plane = TSNE(2, perplexity=min(PERPLEXITY, len(rows) / 10), init="pca", random_state=seed).fit_transform(rows)
    ends = np.cumsum([len(label) for _, label in sets.values()])
    parts = zip(sets.items(), np.split(plane, ends[:-1]), strict=True)
    return {name: np.column_stack([xy, label]).astype(np.float32) for (name, (_, label)), xy in parts}


def embedding_figure(
    points: Mapping[str, np.ndarray], labels: Mapping[str, str], title: str, classes: Sequence[str] = ()
) -> Figure:
    """Return a figure with a panel for the real images and one per method, on the same axes: points over contours.

    points: as `embed` returns them; labels: of methods, and of "real", if not their names; classes: names of classes.
    Contours hold 90, 60 and 30 % of a class's real images by a Gaussian kernel density.
    """
    import matplotlib
    from matplotlib.figure import Figure

    from s2g.report.plots import STYLE

    names = [REAL, *(name for name in points if name != REAL)]
    everything = np.concatenate([points[name] for name in names])
    present = [int(label) for label in np.unique(everything[:, 2])]
    low, high = everything[:, :2].min(0), everything[:, :2].max(0)
    ends = low - MARGIN * (high - low), high + MARGIN * (high - low)
    width, height = ends[1] - ends[0]
    across = min(ACROSS, len(names))
    down = -(-len(names) // across)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.5 * across, 0.9 + (2.4 * height / width + 0.25) * down), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
        contours = {label: _contours(points[REAL], label, *ends) for label in present}
        for axis, name in zip(axes, names, strict=False):
            size = 12 * min(1.0, (600 / max(1, len(points[name]))) ** 0.5)
            for label in present:
                colour, marker = _style(label)
                _draw_contours(axis, contours[label], colour)
                x, y = points[name][points[name][:, 2] == label][:, :2].T
                axis.scatter(x, y, size, colour, marker=marker, alpha=0.6, linewidths=0, zorder=2, rasterized=True)
            axis.set_title(labels.get(name, "real images" if name == REAL else name), fontsize=9)
            axis.set(xticks=[], yticks=[], xlim=(ends[0][0], ends[1][0]), ylim=(ends[0][1], ends[1][1]))
            axis.set_aspect("equal", adjustable="box")
            axis.spines[:].set_visible(True)
            axis.spines[:].set_color("#bbbbbb")
        for axis in axes[len(names) :]:
            axis.set_visible(False)
        _legend(figure, present, classes, title)
    return figure


def _style(label: int) -> tuple[str, str]:
    """Return colour and marker of a class; black is for text."""
    from s2g.report.plots import COLOURS, MARKERS

    return COLOURS[1 + label % (len(COLOURS) - 1)], MARKERS[1 + label % 6]


def _contours(real: np.ndarray, label: int, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Return grid and density of a class's real images, and the levels that hold shares of them; None for too few images."""
    from scipy.stats import gaussian_kde  # a second to load

    own = real[real[:, 2] == label][:, :2].T.astype(np.float64)
    if own.shape[1] < 5:
        return None
    x, y = np.meshgrid(np.linspace(low[0], high[0], GRID), np.linspace(low[1], high[1], GRID))
    density = gaussian_kde(own, bw_method=BANDWIDTH)
    levels = np.quantile(density(own), [1 - share for share in INSIDE])
    return x, y, density(np.stack([x.ravel(), y.ravel()])).reshape(x.shape), levels


def _draw_contours(axis: Axes, contours: tuple[np.ndarray, ...] | None, colour: str) -> None:
    if contours is None:
        return
    x, y, density, levels = contours
    axis.contourf(x, y, density, [levels[0], density.max()], colors="#bbbbbb", alpha=0.25, zorder=0)
    axis.contour(x, y, density, levels, colors=colour, linewidths=0.6, alpha=0.8, zorder=1)


def _legend(figure: Figure, present: Sequence[int], classes: Sequence[str], title: str) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for label in present:
        name = classes[label] if label < len(classes) else f"class {label}"
        colour, marker = _style(label)
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", markersize=4, label=name))
        handles.append(Line2D([], [], color=colour, linewidth=0.8, label=f"{name}, real: 30, 60, 90 %"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    figure.suptitle(title, fontsize=10)

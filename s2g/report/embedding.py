"""Features of real and generated images in one plane (Figure 4): t-SNE, drawn as points over the real images' density.

t-SNE keeps neighbours and nothing else: distances between clusters, their sizes and their areas mean little (van der Maaten
and Hinton 2008), and a part of the plane is only comparable with another of the same embedding. So all methods share one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import gaussian_kde

from s2g.report.plots import COLOURS, MARKERS, STYLE

REAL = "real"  # the name of the real images among the places
PERPLEXITY = 30.0  # scikit-learn's own; a tenth of the points where they are fewer than 300
ACROSS = 4  # panels in a row
MARGIN = 0.1  # around the points, for the contours
GRID = 100  # points of a side on which a density is drawn
BANDWIDTH = 0.25  # of the density, in standard deviations of a class: clusters within a class stay apart
INSIDE = (0.9, 0.6, 0.3)  # shares of a class's real images inside its contours
CLASS_COLOURS = (COLOURS[1], COLOURS[2], *COLOURS[3:])  # black is for words


def embed(
    real: np.ndarray,
    real_label: np.ndarray,
    generated: Mapping[str, tuple[np.ndarray, np.ndarray]],
    seed: int = 0,
    limit: int = 3000,
) -> dict[str, np.ndarray]:
    """Place in the plane and class of every image, float32 [N, 3] (x, y, class) by method; of the real ones as "real".

    One joint t-SNE of real features [M, D] with classes [M] and every method's features [N, D] and classes [N], begun from
    principal components with a fixed seed: on one machine the same features give the same places.
    limit: so many of each set are placed, a method's first ones, real ones thinned evenly (they may lie class by class).
    ValueError where features and classes are not equally many, or a method is called "real".
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
    return {name: np.column_stack([place, label]).astype(np.float32) for (name, (_, label)), place in parts}


def embedding_figure(
    places: Mapping[str, np.ndarray], labels: Mapping[str, str], title: str, classes: Sequence[str] = ()
) -> Figure:
    """A panel for the real images and one for each method, on the same axes: points over the real images' contours.

    places: as `embed` gives them; labels: how a method is called, where not by its name, also of "real"; classes: how those
    are called. Contours hold 90, 60 and 30 % of a class's real images by a Gaussian kernel density.
    """
    names = [REAL, *(name for name in places if name != REAL)]
    found = np.concatenate([places[name] for name in names])
    present = [int(label) for label in np.unique(found[:, 2])]
    low, high = found[:, :2].min(0), found[:, :2].max(0)
    ends = low - MARGIN * (high - low), high + MARGIN * (high - low)
    wide, tall = ends[1] - ends[0]
    across = min(ACROSS, len(names))
    down = -(-len(names) // across)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.5 * across, 0.9 + (2.4 * tall / wide + 0.25) * down), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
        contours = {label: _contours(places[REAL], label, *ends) for label in present}
        for axis, name in zip(axes, names, strict=False):
            for label in present:
                colour = CLASS_COLOURS[label % len(CLASS_COLOURS)]
                _draw_contours(axis, contours[label], colour)
                own = places[name][places[name][:, 2] == label]
                size = 12 * min(1.0, (600 / max(1, len(places[name]))) ** 0.5)
                marker = MARKERS[1 + label % 6]
                axis.scatter(
                    own[:, 0], own[:, 1], size, colour, marker=marker, alpha=0.6, linewidths=0, zorder=2, rasterized=True
                )
            axis.set_title(labels.get(name, "real images" if name == REAL else name), fontsize=9)
            axis.set(xticks=[], yticks=[], xlim=(ends[0][0], ends[1][0]), ylim=(ends[0][1], ends[1][1]))
            axis.set_aspect("equal", adjustable="box")
            axis.spines[:].set_visible(True)
            axis.spines[:].set_color("#bbbbbb")
        for axis in axes[len(names) :]:
            axis.set_visible(False)
        _legend(figure, present, classes, title)
    return figure


def _contours(real: np.ndarray, label: int, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Grid and density of a class's real images, and the levels that hold shares of them; None for too few to have one."""
    own = real[real[:, 2] == label][:, :2].T.astype(np.float64)
    if own.shape[1] < 5:
        return None
    x, y = np.meshgrid(np.linspace(low[0], high[0], GRID), np.linspace(low[1], high[1], GRID))
    density = gaussian_kde(own, bw_method=BANDWIDTH)
    levels = np.quantile(density(own), [1 - share for share in INSIDE])
    return x, y, density(np.stack([x.ravel(), y.ravel()])).reshape(x.shape), levels


def _draw_contours(axis: Axes, drawn: tuple[np.ndarray, ...] | None, colour: str) -> None:
    if drawn is None:
        return
    x, y, density, levels = drawn
    axis.contourf(x, y, density, [levels[0], density.max()], colors="#bbbbbb", alpha=0.25, zorder=0)
    axis.contour(x, y, density, levels, colors=colour, linewidths=0.6, alpha=0.8, zorder=1)


def _legend(figure: Figure, present: Sequence[int], classes: Sequence[str], title: str) -> None:
    handles = []
    for label in present:
        named = classes[label] if label < len(classes) else f"class {label}"
        colour, marker = CLASS_COLOURS[label % len(CLASS_COLOURS)], MARKERS[1 + label % 6]
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", markersize=4, label=named))
        handles.append(Line2D([], [], color=colour, linewidth=0.8, label=f"{named}, real: 30, 60, 90 %"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    figure.suptitle(title, fontsize=10)

"""Results as plots: curves over a knob or over the cost, or points of one column over another."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from s2g.experiments.results import ResultRow, Results
from s2g.experiments.specification import ExperimentSpec, Plot, Profile, word
from s2g.io.atomic import write_bytes
from s2g.report.drawing import read_arrays, read_drawing
from s2g.report.gallery import Gallery, gallery_figure
from s2g.report.grids import TEXT

# Okabe and Ito's colours, distinct under common colour blindness; markers differ too, for greyscale print.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("s", "o", "^", "D", "v", "P", "X")
STYLE: dict[Any, Any] = {
    **TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "s2g",  # the same numbers give the same file
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Point:
    """A row in one panel, with the ends of its 95 % interval."""

    x: float | None  # None for a row without the knob: a horizontal line
    y: float
    low: float
    high: float


def figure_of(experiment: ExperimentSpec, results: Results) -> Figure:
    """Return the plot of an experiment's results; ValueError if it describes none."""
    profile = experiment.profile(results.profile)
    if profile.plot is None:
        raise ValueError(f"{experiment.name}: no plot is described")
    points = profile.plot.x in profile.columns
    with matplotlib.rc_context(STYLE):
        if profile.plot.together:
            return _together(profile, profile.plot, results)
        return _points(profile, profile.plot, results) if points else _curves(profile, profile.plot, results)


def write_pictures(
    experiment: ExperimentSpec, results: Results, gallery: Gallery | None, out: Path, measured: Path | None = None
) -> list[Path]:
    """Write NAME-PROFILE.svg and .png of the plot, .grid.* of the images and .drawing.* of the drawing; return their paths.

    measured: folder that holds the drawing's arrays; default: `out`. The same numbers give the same bytes.
    """
    stem, figures = f"{results.exhibit}-{results.profile}", {}
    if experiment.profile(results.profile).plot is not None and any(row.cells for row in results.rows):
        figures[stem] = figure_of(experiment, results)
    if gallery is not None:
        figures[f"{stem}.grid"] = gallery_figure(gallery)
    profile, kept = experiment.profile(results.profile), (measured or out) / f"{stem}.drawing.npz"
    if profile.drawing is not None and kept.exists():
        with matplotlib.rc_context(STYLE):
            figures[f"{stem}.drawing"] = read_drawing(profile.drawing).figure(profile, read_arrays(kept))
    written = []
    for name, figure in figures.items():
        for ending in ("svg", "png"):
            stream, path = io.BytesIO(), out / f"{name}.{ending}"
            with matplotlib.rc_context(STYLE):
                # dpi of an SVG: only its dots are rasterized.
                figure.savefig(
                    stream,
                    format=ending,
                    dpi=100 if ending == "svg" else 150,
                    metadata={"Date": None} if ending == "svg" else None,
                )
            write_bytes(path, stream.getvalue())
            written.append(path)
    return written


def _curves(profile: Profile, plot: Plot, results: Results) -> Figure:
    """Plot each column's values, and beside them the paired differences, whose intervals are narrower."""
    figure = Figure(figsize=(8.2, 0.5 + 2.7 * len(plot.y)), layout="constrained")
    axes = figure.subplots(len(plot.y), 2, squeeze=False, sharex=True)
    every = dict.fromkeys(label for column in plot.y for label in series(profile, plot, results, column, False))
    at = {label: number for number, label in enumerate(every)}  # a series looks the same in every panel
    for place, column in enumerate(plot.y):
        about = results.columns[column]
        arrow = "" if about["higher"] is None else " ↑" if about["higher"] else " ↓"
        for axis, delta in ((axes[place, 0], False), (axes[place, 1], True)):
            shown = series(profile, plot, results, column, delta)
            for label, points in shown.items():
                _draw(axis, points, label, at[label])
            # A similarity to the compared row has no difference to it: hide the empty panel.
            axis.set_visible(any(point.x is not None for points in shown.values() for point in points))
            axis.set_ylabel(f"Δ {about['label']}{arrow}" if delta else f"{about['label']}{arrow}")
            if delta:
                axis.axhline(0, color="#888888", linewidth=0.8, zorder=0)
    places = [_x(line.set, plot.x, row) for row in results.rows if (line := profile.rows.get(row.row)) is not None]
    whole = all(place is None or place == int(place) for place in places)
    for axis in axes[-1]:
        axis.set_xlabel(plot.x_label or plot.x)
        if whole:
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn = [axis.get_legend_handles_labels() for axis in axes.flat]
    handles_of = {label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)}
    figure.legend(handles_of.values(), handles_of.keys(), loc="outside upper center", ncols=min(4, len(handles_of)))
    return figure


def _together(profile: Profile, plot: Plot, results: Results) -> Figure:
    """Plot all columns in one panel, a panel for each group; 95 % intervals as bars."""
    shown: dict[str, dict[str, list[Point]]] = {}
    for group, about in profile.groups.items():
        own = replace(results, rows=tuple(row for row in results.rows if row.group == group))
        for column in plot.y:
            for points in series(profile, plot, own, column, False).values():
                shown.setdefault(about.label, {}).setdefault(results.columns[column]["label"], []).extend(points)
    across = 1 if len(shown) == 1 else 2  # columns of the legend, whose labels are long
    figure = Figure(figsize=(max(5.2, 0.8 + 3.4 * len(shown)), 3.2 + 0.2 * -(-len(plot.y) // across)), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    labels = [results.columns[column]["label"] for column in plot.y]
    for axis, (group, columns) in zip(axes, shown.items(), strict=True):
        for label, points in columns.items():
            _draw(axis, points, label, labels.index(label))
        axis.axhline(0, color="#888888", linewidth=0.8, zorder=0)
        axis.set_xticks(sorted({point.x for points in columns.values() for point in points if point.x is not None}))
        axis.set(title=group if len(shown) > 1 else "", xlabel=plot.x_label or plot.x)
    axes[0].set_ylabel(plot.together)
    drawn = [axis.get_legend_handles_labels() for axis in axes]
    handle_of = {label: handle for handles, names in drawn for handle, label in zip(handles, names, strict=True)}
    known = [label for label in labels if label in handle_of]
    figure.legend([handle_of[label] for label in known], known, loc="outside upper center", ncols=across, fontsize=8)
    return figure


def _draw(axis: Axes, points: Sequence[Point], label: str, at: int) -> None:
    colour, marker = COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]
    for point in points:
        if point.x is None:
            axis.axhspan(point.low, point.high, color=colour, alpha=0.08, linewidth=0)
            axis.axhline(point.y, color=colour, linestyle="--", linewidth=1.2, label=label)
    placed = sorted((p for p in points if p.x is not None), key=lambda p: p.x or 0.0)
    if placed:
        x, y = [p.x or 0.0 for p in placed], [p.y for p in placed]
        reach = [[p.y - p.low for p in placed], [p.high - p.y for p in placed]]
        axis.errorbar(x, y, yerr=reach, color=colour, marker=marker, markersize=5, linewidth=1.3, capsize=2, label=label)


def series(profile: Profile, plot: Plot, results: Results, column: str, delta: bool) -> dict[str, list[Point]]:
    """Return points by legend label: a sweep is a series, split by `plot.by` and, if there are several, by group."""
    by_label: dict[str, list[Point]] = {}
    for row in results.rows:
        line = profile.rows.get(row.row)
        cell = row.cell(column)
        if line is None or cell is None or cell.value is None:
            continue
        numbers: Mapping[str, Any] | None = {"value": cell.value, "low": cell.low, "high": cell.high}
        if delta:  # the compared row stands at 0, without an interval
            numbers = dict.fromkeys(("value", "low", "high"), 0.0) if profile.reference(row.row) == row.row else cell.delta
        if numbers is None or numbers["value"] is None:
            continue
        joins = row.row in plot.at  # CFG is S2 with no sub-network
        label = next(
            (other.point_of for other in profile.rows.values() if joins and other.point_of), line.point_of or line.label
        )
        if plot.by and plot.by in line.set:
            label += f", {plot.by.rpartition('.')[2].replace('_', ' ')} {word(line.set[plot.by])}"
        if len(profile.groups) > 1:
            label = f"{profile.groups[row.group].label}, {label}"
        low, high = (numbers["value"] if numbers[end] is None else numbers[end] for end in ("low", "high"))
        x = float(plot.at[row.row]) if joins else _x(line.set, plot.x, row)
        by_label.setdefault(label, []).append(Point(x, numbers["value"], low, high))
    return by_label


def _x(knobs: Mapping[str, Any], key: str, row: ResultRow) -> float | None:
    """Return a row's x: its knob, the width of a window, or its cost in GFLOP; None if it has no such knob."""
    if key == "flops":
        return None if row.flops is None else row.flops / 1e9
    value = knobs.get(key)
    if isinstance(value, list | tuple) and len(value) == 1:  # the index of a block
        return float(value[0])
    if isinstance(value, list | tuple):
        return float(value[-1]) - float(value[0])
    return None if value is None else float(value)


def _points(profile: Profile, plot: Plot, results: Results) -> Figure:
    """Plot one column over another: rows without the naming knob large and in the legend, the others labelled at their dots."""
    figure = Figure(figsize=(6.4, 0.4 + 4.2 * len(plot.y)), layout="constrained")
    axes = figure.subplots(len(plot.y), 1, squeeze=False)[:, 0]
    for axis, column in zip(axes, plot.y, strict=True):
        marked = 0
        for row in results.rows:
            line, x, y = profile.rows.get(row.row), row.cell(plot.x), row.cell(column)
            if line is None or x is None or y is None or x.value is None or y.value is None:
                continue
            value = line.set.get(plot.name) if plot.name else None
            if value is None:
                axis.plot(x.value, y.value, MARKERS[marked], color=COLOURS[marked], markersize=9, label=row.label, zorder=3)
                marked += 1
            else:
                name = word(value[0] if isinstance(value, list) and len(value) == 1 else value)
                axis.plot(x.value, y.value, ".", color="#777777", markersize=7)
                axis.annotate(name, (x.value, y.value), xytext=(4, 3), textcoords="offset points", fontsize=8)
        axis.set(xlabel=results.columns[plot.x]["label"], ylabel=results.columns[column]["label"])
        axis.legend(title=f"numbers: {plot.name.rpartition('.')[2]}" if plot.name else None)
    return figure

"""Curves of a sweep: each main metric over the numeric knob, a line per setting of the other knobs."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from s2g.engine.bench import Metric
from s2g.metrics.statistics import Estimate, over_seeds
from s2g.report.number_text import heading
from s2g.report.plots import COLOURS, MARKERS, STYLE
from s2g.report.sweep import Sweep, short

Curve = list[tuple[float, Estimate]]


def curves(sweep: Sweep, knob: str) -> bytes:
    """Return a PNG of all main metrics over `knob`; bars are 95 % intervals, over seeds if several were run."""
    panels = {metric: lines for metric in sweep.main if (lines := series(sweep, knob, metric))}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.6 + 2.5 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for axis, (metric, lines) in zip(axes, panels.items(), strict=True):
            for at, (label, points) in enumerate(lines.items()):
                x, y = [place for place, _ in points], [estimate.value for _, estimate in points]
                ends = [(e.value if e.low is None else e.low, e.value if e.high is None else e.high) for _, e in points]
                reach = np.array([(v - low, high - v) for v, (low, high) in zip(y, ends, strict=True)]).T
                look = {"color": COLOURS[at % len(COLOURS)], "marker": MARKERS[at % len(MARKERS)], "markersize": 5}
                axis.errorbar(x, y, yerr=reach, linewidth=1.3, capsize=2, label=label or None, **look)
            axis.set_ylabel(heading(metric))
        axes[-1].set_xlabel(knob)
        handles, labels = axes[0].get_legend_handles_labels()
        if labels:
            figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def series(sweep: Sweep, knob: str, metric: Metric) -> dict[str, Curve]:
    """Return points in ascending order of the knob by the setting of the other knobs; seeds are averaged, NaN left out."""
    others = [name for name in sweep.settings if name != knob]
    values: dict[str, dict[float, list[Estimate]]] = {}
    for job in sweep.jobs:
        place, estimate = job.number_of(knob), job.score.estimates.get(metric.name)
        if place is not None and estimate is not None and estimate.value == estimate.value:
            label = ", ".join(f"{n} {job.overrides.get(name, '')}" for n, name in zip(short(others), others, strict=True))
            values.setdefault(label, {}).setdefault(place, []).append(estimate)
    return {
        label: [(x, y[0] if len(y) == 1 else over_seeds([one.value for one in y])) for x, y in sorted(by_place.items())]
        for label, by_place in values.items()
    }

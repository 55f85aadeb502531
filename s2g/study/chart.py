"""Figure 11: for each criterion and overall, a bar for each method's share of votes, with its interval."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from s2g.report.plots import COLOURS, STYLE
from s2g.study.preferences import Preferences

HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++")  # beside colours, for greyscale print
WIDTH = 0.82  # of a group of bars, where 1 leaves no gap to the next


def chart(found: Preferences, labels: Mapping[str, str], methods: Sequence[str]) -> Figure:
    """Return the figure. labels: of the criteria by name, overall too; methods: their labels."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(6.4, 0.35 * len(found.names) * (len(methods) + 1)), 3.6), layout="constrained")
        axis, width = figure.subplots(), WIDTH / len(methods)
        for number, method in enumerate(methods):
            colour = COLOURS[(number + 1) % len(COLOURS)]
            places = [group + (number - (len(methods) - 1) / 2) * width for group in range(len(found.names))]
            shares = [found.shares[name][number] for name in found.names]
            values = [100 * share.value for share in shares]
            axis.bar(
                places, values, 0.92 * width, label=method, color=colour, edgecolor="white", linewidth=0.5,
                hatch=HATCHES[number % len(HATCHES)],
            )  # fmt: skip
            for place, share in zip(places, shares, strict=True):
                top = 100 * (share.value if share.high is None else share.high)
                if share.low is not None and share.high is not None:
                    axis.vlines(place, 100 * share.low, top, color="#222222", linewidth=1)
                axis.annotate(
                    f"{100 * share.value:.1f}", (place, top), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=7
                )
        axis.axhline(100 / len(methods), color="#888888", linewidth=0.8, linestyle=":", zorder=0)
        axis.set_xticks(range(len(found.names)), [labels[name] for name in found.names])
        axis.tick_params(axis="x", length=0)
        axis.set_ylabel("share of votes, %")
        axis.set_ylim(bottom=0)
        figure.legend(loc="outside upper center", ncols=min(5, len(methods)))
    return figure


def picture(figure: Figure, ending: str) -> bytes:
    """Return a figure as svg or png; the same numbers give the same bytes."""
    stream = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        metadata = {"Date": None} if ending == "svg" else None
        figure.savefig(stream, format=ending, dpi=100 if ending == "svg" else 150, metadata=metadata)
    return stream.getvalue()

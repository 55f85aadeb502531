"""Draw docs/images/fork.svg: how the edited pass of S2 resumes where it leaves the conditional one."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

RUN, DROP, SKIP, INK = "#0072B2", "#D55E00", "#D9DEE4", "#2B2F36"
BLOCKS, DROPPED = 12, 5


def row(axes: Axes, y: float, label: str, states: list[str]) -> None:
    """Draw one pass: embeddings, blocks, head; a state is run, drop or skip."""
    axes.text(-0.35, y + 0.3, label, ha="right", va="center", color=INK)
    for block, state in enumerate(["run", *states, "run"]):
        small = block in (0, BLOCKS + 1)
        face = {"run": RUN, "drop": "white", "skip": SKIP}[state]
        edge = {"run": RUN, "drop": DROP, "skip": SKIP}[state]
        box = FancyBboxPatch(
            (block, y), 0.62, 0.6, "round,pad=0.06", facecolor=face, edgecolor=edge, linewidth=1.6, alpha=0.6 if small else 1
        )
        axes.add_patch(box)
        name = {0: "embed", BLOCKS + 1: "head"}.get(block, str(block - 1))
        color = {"run": "white", "drop": DROP, "skip": "#8A929C"}[state]
        axes.text(block + 0.31, y + 0.3, name, ha="center", va="center", color=color, fontsize=6.5 if small else 9)


def main() -> None:
    """Write the figure beside the documentation."""
    with matplotlib.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "fork"}):
        figure = Figure(figsize=(9.6, 2.5), layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(-1.6, BLOCKS + 2), ylim=(-0.7, 3.2), aspect="equal")
        axes.axis("off")
        row(axes, 2.4, "uncond", ["run"] * BLOCKS)
        row(axes, 1.3, "cond", ["run"] * BLOCKS)
        row(axes, 0.0, "sub", ["skip"] * DROPPED + ["drop"] + ["run"] * (BLOCKS - DROPPED - 1))
        x = DROPPED + 1 - 0.19
        axes.annotate("", (x, 0.35), (x, 1.6), arrowprops=dict(arrowstyle="-|>", color=DROP, linewidth=1.8))
        axes.text(x + 0.12, 1.0, "the state entering block 5 is kept", color=DROP, va="center")
        axes.text(3.3, -0.45, "not run again", color="#6B737D", ha="center")
        axes.text(DROPPED + 1.31, -0.45, "dropped", color=DROP, ha="center")
        axes.text(10, -0.45, "the only blocks the sub pass pays for", color=RUN, ha="center")
        target = Path(__file__).parents[1] / "docs" / "images" / "fork.svg"
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    main()

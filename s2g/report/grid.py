"""Images side by side: a row for each method, a column for each start noise."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure


def image_grid(
    rows: Sequence[tuple[str, np.ndarray]], captions: Sequence[str], wrong: Sequence[np.ndarray] | None = None
) -> Figure:
    """A figure of uint8 images: each row a label and [N, H, W, 3], each column a caption; `wrong` [N] flags get a frame."""
    with matplotlib.rc_context({"font.size": 9, "svg.fonttype": "none"}):
        count = len(captions)
        figure = Figure(figsize=(1.0 + 0.92 * count, 0.55 + 0.95 * len(rows)), layout="constrained")
        axes = figure.subplots(len(rows), count, squeeze=False)
        for place, (label, images) in enumerate(rows):
            for column, image in enumerate(images):
                axis = axes[place, column]
                axis.imshow(image, interpolation="nearest")
                axis.set(xticks=[], yticks=[])
                for spine in axis.spines.values():
                    spine.set(visible=wrong is not None and bool(wrong[place][column]), color="#D55E00", linewidth=2.5)
                if place == 0:
                    axis.set_title(textwrap.fill(captions[column], 10), fontsize=8)
            axes[place, 0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6)
    return figure

"""Images side by side: a row for each method, a column for each start noise."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

CELL = 0.85  # inches of an image's longer side
LETTER, LINE = 0.078, 0.135  # inches a letter and a line of text take
WRONG = "#D55E00"


def image_grid(
    rows: Sequence[tuple[str, np.ndarray]], captions: Sequence[str], wrong: Sequence[np.ndarray] | None = None
) -> Figure:
    """A figure of uint8 images: each row a label and [N, H, W, 3], each column a caption; `wrong` [N] flags get a frame.

    One picture with gaps, not axes by the hundred, whose layout would take seconds.
    """
    height, width = rows[0][1].shape[1:3]
    gap = max(2, round(0.1 * max(height, width)))
    canvas = np.full(((height + gap) * len(rows) - gap, (width + gap) * len(captions) - gap, 3), 255, np.uint8)
    for place, (_, images) in enumerate(rows):
        for column, image in enumerate(images):
            y, x = place * (height + gap), column * (width + gap)
            canvas[y : y + height, x : x + width] = image
    heads = [textwrap.fill(caption, 10) for caption in captions]
    inch = CELL / max(height, width)  # of a pixel
    left = 0.2 + LETTER * max(len(label) for label, _ in rows)
    top = 0.15 + LINE * max(head.count("\n") + 1 for head in heads)
    size = (left + inch * canvas.shape[1] + 0.1, top + inch * canvas.shape[0] + 0.1)
    with matplotlib.rc_context({"font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=size)
        box = (left / size[0], 0.1 / size[1], inch * canvas.shape[1] / size[0], inch * canvas.shape[0] / size[1])
        axis = figure.add_axes(box)
        axis.imshow(canvas, interpolation="nearest", aspect="auto")
        axis.set_axis_off()
        for column, head in enumerate(heads):
            axis.text(column * (width + gap) + width / 2, -0.6 * gap, head, ha="center", va="bottom", fontsize=8)
        for place, (label, _) in enumerate(rows):
            axis.text(-0.8 * gap, place * (height + gap) + height / 2, label, ha="right", va="center")
            for column in np.flatnonzero(wrong[place]) if wrong is not None else ():
                corner = (column * (width + gap) - 0.5, place * (height + gap) - 0.5)
                axis.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=WRONG, linewidth=2.5, clip_on=False))
    return figure

"""Figures of images side by side, and of videos as strips of frames (Figure 6 of the paper)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from s2g.report.media import downscaled, evenly_spaced

CELL = 0.85  # inches of an image's longer side
LETTER, LINE = 0.078, 0.135  # inches a letter and a line of text take
WRONG = "#D55E00"  # frame around what the bench reads otherwise than prompted
FRAMES = 8  # of a video, side by side
STRIP = 5.2  # inches of a strip of square frames; wide frames get a whole line
PAGE = 11.0  # inches that blocks may fill side by side
MAX_FRAME = 160  # pixels of a frame's longer side: finer than print shows
# The font that matplotlib brings along, and text that stays text in an SVG.
TEXT: dict[Any, Any] = {"font.family": "DejaVu Sans", "font.size": 9, "svg.fonttype": "none"}


@matplotlib.rc_context(TEXT)
def image_grid(
    rows: Sequence[tuple[str, np.ndarray]], captions: Sequence[str], wrong: Sequence[np.ndarray] | None = None
) -> Figure:
    """Return a figure of uint8 images: each row a label and [N, H, W, 3], each column a caption; `wrong` [N] flags get a frame.

    All images are one canvas: hundreds of axes would take seconds to lay out.
    """
    height, width = rows[0][1].shape[1:3]
    gap = max(2, round(0.1 * max(height, width)))
    canvas = np.full(((height + gap) * len(rows) - gap, (width + gap) * len(captions) - gap, 3), 255, np.uint8)
    for row, (_, images) in enumerate(rows):
        for column, image in enumerate(images):
            y, x = row * (height + gap), column * (width + gap)
            canvas[y : y + height, x : x + width] = image
    heads = [textwrap.fill(caption, 10) for caption in captions]
    inch = CELL / max(height, width)  # of a pixel
    top = 0.15 + LINE * max(head.count("\n") + 1 for head in heads)
    figure, axis = _figure_of(canvas, inch, [label for label, _ in rows], top)
    axis.imshow(canvas, interpolation="nearest", aspect="auto")
    for column, head in enumerate(heads):
        axis.text(column * (width + gap) + width / 2, -0.6 * gap, head, ha="center", va="bottom", fontsize=8)
    for row, (label, _) in enumerate(rows):
        axis.text(-0.8 * gap, row * (height + gap) + height / 2, label, ha="right", va="center")
        for column in np.flatnonzero(wrong[row]) if wrong is not None else ():
            _add_frame(axis, column * (width + gap), row * (height + gap), width, height, 2.5)
    return figure


@dataclass(frozen=True)
class Block:
    """A start noise: its prompt, a video [F, H, W, 3] per method, and which of them get a frame."""

    caption: str
    videos: Sequence[np.ndarray]
    wrong: Sequence[bool]


@matplotlib.rc_context(TEXT)
def strip_grid(labels: Sequence[str], blocks: Sequence[Block]) -> Figure:
    """Return a figure with a block per start noise and in it a strip of at most FRAMES frames per method.

    All videos have one size.
    """
    strips = [[_strip(video) for video in block.videos] for block in blocks]
    num, height, width = strips[0][0].shape[:3]
    gap, row_gap = max(1, round(height / 16)), max(2, round(height / 6))  # between frames, between methods
    length, inches = num * (width + gap) - gap, STRIP * max(1.0, width / height)
    inch = inches / length  # of a pixel
    per_line = max(1, min(len(blocks), int(PAGE // inches)))
    lines = -(-len(blocks) // per_line)
    heads = [textwrap.fill(block.caption, int(inches / LETTER)) for block in blocks]
    head = round((0.1 + LINE * max(text.count("\n") + 1 for text in heads)) / inch)
    block_gap = round(0.25 / inch)
    block_height = head + len(labels) * (height + row_gap) - row_gap
    shape = (lines * (block_height + block_gap) - block_gap, per_line * (length + block_gap) - block_gap, 3)
    canvas = np.full(shape, 255, np.uint8)
    figure, axis = _figure_of(canvas, inch, labels, top=0.1)
    for index, (block, videos) in enumerate(zip(blocks, strips, strict=True)):
        y, x = index // per_line * (block_height + block_gap), index % per_line * (length + block_gap)
        axis.text(x, y + head - 0.05 / inch, heads[index], ha="left", va="bottom", fontsize=8)
        for row, (label, frames) in enumerate(zip(labels, videos, strict=True)):
            top = y + head + row * (height + row_gap)
            for column, frame in enumerate(frames):
                left = x + column * (width + gap)
                canvas[top : top + height, left : left + width] = frame
            if index % per_line == 0:
                axis.text(x - 0.08 / inch, top + height / 2, label, ha="right", va="center")
            if block.wrong[row]:
                _add_frame(axis, x, top, length, height, 2)
    axis.imshow(canvas, interpolation="nearest", aspect="auto")
    return figure


def _strip(video: np.ndarray) -> np.ndarray:
    frames = video[evenly_spaced(len(video), FRAMES)]
    return downscaled(frames, MAX_FRAME) if max(frames.shape[1:3]) > MAX_FRAME else frames


def _figure_of(canvas: np.ndarray, inch: float, labels: Sequence[str], top: float) -> tuple[Figure, Axes]:
    """Return a figure whose only axis has room for `canvas` at `inch` per pixel, labels on its left and `top` inches above."""
    left = 0.2 + LETTER * max(len(label) for label in labels)
    size = (left + inch * canvas.shape[1] + 0.1, top + inch * canvas.shape[0] + 0.1)
    figure = Figure(figsize=size)
    axis = figure.add_axes((left / size[0], 0.1 / size[1], inch * canvas.shape[1] / size[0], inch * canvas.shape[0] / size[1]))
    axis.set_axis_off()
    return figure, axis


def _add_frame(axis: Axes, x: float, y: float, width: float, height: float, linewidth: float) -> None:
    corner = (x - 0.5, y - 0.5)
    axis.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=WRONG, linewidth=linewidth, clip_on=False))

"""Videos as frame strips (Figure 6 of the paper): a block for each start noise, in it a row of frames for each method."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from s2g.report.grid import LETTER, LINE, WRONG
from s2g.report.videos import reduced, spread

FRAMES = 8  # of a video, side by side
ROW = 5.2  # inches of a strip of square frames; wide frames have a whole line to themselves
PAGE = 11.0  # inches that blocks may fill beside each other
FINEST = 160  # pixels of a frame's longer side: finer than a page of print shows


@dataclass(frozen=True)
class Block:
    """A start noise: what was asked for, a video [F, H, W, 3] for each method, and which of them are not as asked for."""

    caption: str
    videos: Sequence[np.ndarray]
    wrong: Sequence[bool]


def strip_grid(labels: Sequence[str], blocks: Sequence[Block]) -> Figure:
    """A figure of strips: methods by rows within a block, a frame around a strip that is read otherwise than asked for.

    All videos are of one size; of longer ones than FRAMES, as many evenly spaced frames are shown.
    """
    shown = [[_shown(video) for video in block.videos] for block in blocks]
    num, height, width = shown[0][0].shape[:3]
    gap, apart = max(1, round(height / 16)), max(2, round(height / 6))  # between frames, between methods
    long, across = num * (width + gap) - gap, ROW * max(1.0, width / height)
    inch = across / long  # of a pixel
    beside = max(1, min(len(blocks), int(PAGE // across)))
    lines = -(-len(blocks) // beside)
    heads = [textwrap.fill(block.caption, int(across / LETTER)) for block in blocks]
    head = round((0.1 + LINE * max(text.count("\n") + 1 for text in heads)) / inch)
    between = round(0.25 / inch)  # blocks
    tall = head + len(labels) * (height + apart) - apart
    canvas = np.full((lines * (tall + between) - between, beside * (long + between) - between, 3), 255, np.uint8)
    left = 0.2 + LETTER * max(len(label) for label in labels)
    size = (left + inch * canvas.shape[1] + 0.1, 0.1 + inch * canvas.shape[0] + 0.1)
    with matplotlib.rc_context({"font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=size)
        axis = figure.add_axes(
            (left / size[0], 0.1 / size[1], inch * canvas.shape[1] / size[0], inch * canvas.shape[0] / size[1])
        )
        for place, (block, videos) in enumerate(zip(blocks, shown, strict=True)):
            y, x = place // beside * (tall + between), place % beside * (long + between)
            axis.text(x, y + head - 0.05 / inch, heads[place], ha="left", va="bottom", fontsize=8)
            for row, (label, frames) in enumerate(zip(labels, videos, strict=True)):
                top = y + head + row * (height + apart)
                for at, frame in enumerate(frames):
                    canvas[top : top + height, x + at * (width + gap) : x + at * (width + gap) + width] = frame
                if place % beside == 0:
                    axis.text(x - 0.08 / inch, top + height / 2, label, ha="right", va="center")
                if block.wrong[row]:
                    frame = Rectangle(
                        (x - 0.5, top - 0.5), long, height, fill=False, edgecolor=WRONG, linewidth=2, clip_on=False
                    )
                    axis.add_patch(frame)
        axis.imshow(canvas, interpolation="nearest", aspect="auto")
        axis.set_axis_off()
    return figure


def _shown(video: np.ndarray) -> np.ndarray:
    frames = video[spread(len(video), FRAMES)]
    return reduced(frames, FINEST) if max(frames.shape[1:3]) > FINEST else frames

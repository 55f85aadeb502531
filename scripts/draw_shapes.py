"""Draw the pictures of docs/{shapes,captions,videos}.md: the worlds, and the loss curves (docs/data/*_loss.csv)."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from s2g.worlds.shapes import captions, motion, video_prompts
from s2g.worlds.shapes.prompts import prompt_classes
from s2g.worlds.shapes.render import render
from s2g.worlds.shapes.world import NUM_CLASSES, scenes

DOCS = Path(__file__).parents[1] / "docs"
ZOOM = 2


def draw_world() -> None:
    """Draw one scene of each class, one row per shape."""
    images = render(scenes(0, np.arange(NUM_CLASSES), np.arange(NUM_CLASSES)))
    grid = images.reshape(6, 18, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(6 * 32, 18 * 32, 3)
    picture = Image.fromarray((grid * 255 + 0.5).astype(np.uint8))
    picture.resize((picture.width * ZOOM, picture.height * ZOOM), Image.Resampling.NEAREST).save(DOCS / "images" / "world.png")


def draw_captioned(columns: int = 16) -> None:
    """Draw true scenes of the first captions of bench=shapes_t2i, in order, row by row."""
    rows = prompt_classes()[: 4 * columns]
    images = captions.render(captions.Captioned(*rows.T), 0, np.arange(len(rows)))
    framed = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1)
    grid = framed.reshape(-1, columns, 3, 34, 34).transpose(0, 3, 1, 4, 2).reshape(-1, columns * 34, 3)
    picture = Image.fromarray((grid * 255 + 0.5).astype(np.uint8))
    picture.resize((picture.width * ZOOM, picture.height * ZOOM), Image.Resampling.NEAREST).save(
        DOCS / "images" / "captioned.png"
    )


def draw_moving(count: int = 12, columns: int = 2) -> None:
    """Draw true videos of the first captions of bench=shapes_t2v, their frames side by side, row by row."""
    videos = motion.render(video_prompts.prompt_kinds()[:count], 0, np.arange(count))
    strips = np.concatenate(
        list(np.pad(videos, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1).swapaxes(0, 2)), axis=-1
    )
    height, width = strips.shape[2:]
    framed = np.pad(strips.swapaxes(0, 1), ((0, 0), (0, 0), (1, 1), (4, 4)), constant_values=1)
    grid = framed.reshape(-1, columns, 3, height + 2, width + 8).transpose(0, 3, 1, 4, 2)
    picture = Image.fromarray((grid.reshape(-1, columns * (width + 8), 3) * 255 + 0.5).astype(np.uint8))
    picture.resize((picture.width * 3, picture.height * 3), Image.Resampling.NEAREST).save(DOCS / "images" / "moving.png")


def draw_loss(name: str) -> None:
    """Plot training and held-out loss against the step."""
    columns = np.genfromtxt(DOCS / "data" / f"{name}_loss.csv", delimiter=",", names=True)
    with matplotlib.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": name}):
        figure = Figure(figsize=(6, 3), layout="constrained")
        axes = figure.subplots()
        axes.plot(columns["step"], columns["loss"], color="#999999", label="training, mean of 50 batches")
        axes.plot(columns["step"], columns["held_out_loss"], color="#0072B2", label="held-out scenes, averaged weights")
        axes.set(xlabel="step", ylabel="velocity loss", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, which="both")
        axes.legend(frameon=False)
        figure.savefig(DOCS / "images" / f"{name}_loss.svg", metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    draw_world()
    draw_captioned()
    draw_moving()
    for trained in ("tiny_sit", "tiny_sd3", "tiny_wan"):
        draw_loss(trained)

"""Videos of one object, and what they are called: "a red circle moving left". Eight frames of 16 x 16 pixels.

An object sets out near the middle and moves along one axis at its own steady pace, or stands still. Lengths are in half
widths of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from s2g.rng import Purpose, uniform
from s2g.worlds.shapes.render import render as render_scenes
from s2g.worlds.shapes.world import COLORS, GREY, JITTER, SHAPES, Scenes

MOTIONS = ("moving left", "moving right", "moving up", "moving down", "standing still")
TOWARDS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)])  # of each motion: x to the right, y down
STILL = MOTIONS.index("standing still")
ATTRIBUTES = {"shape": len(SHAPES), "color": len(COLORS), "motion": len(MOTIONS)}
NUM_KINDS = len(SHAPES) * len(COLORS) * len(MOTIONS)
FRAMES, SIDE = 8, 16


@dataclass(frozen=True)
class Spread:
    """How far places, sizes, rotations and ways spread."""

    center: float  # largest offset of where the way begins, across it; along it a quarter of that
    radius: tuple[float, float]
    angle: float  # largest rotation, in radians
    way: tuple[float, float]  # from the first frame to the last


# WHOLE is the world; training begins with LARGE upright objects (ours; docs/videos.md).
WHOLE = Spread(center=0.30, radius=(0.42, 0.55), angle=0.30, way=(0.45, 0.65))
LARGE = Spread(center=0.20, radius=(0.50, 0.58), angle=0.15, way=(0.50, 0.65))


def kind_of(shape: np.ndarray, color: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Return one index for shape, color and motion: shape major, then color."""
    return (shape * len(COLORS) + color) * len(MOTIONS) + motion


def attributes_of(kind: np.ndarray) -> dict[str, np.ndarray]:
    """Return attribute indices of kinds."""
    return {
        "shape": kind // (len(COLORS) * len(MOTIONS)),
        "color": kind // len(MOTIONS) % len(COLORS),
        "motion": kind % len(MOTIONS),
    }


def caption(kind: int) -> str:
    """Describe a video."""
    attributes = attributes_of(np.array(kind))
    return f"a {tuple(COLORS)[attributes['color']]} {SHAPES[attributes['shape']]} {MOTIONS[attributes['motion']]}"


def held_out() -> np.ndarray:
    """Return the kinds left out of training, [30]: one color for each shape and motion, each color five times."""
    shape, motion = np.meshgrid(np.arange(len(SHAPES)), np.arange(len(MOTIONS)), indexing="ij")
    return np.sort(kind_of(shape, (shape + motion) % len(COLORS), motion).ravel())


SEEN = np.setdiff1d(np.arange(NUM_KINDS), held_out())


def draw_kinds(seed: int, indices: np.ndarray, kinds: np.ndarray = SEEN) -> np.ndarray:
    """Draw the kinds [B] of videos `indices` [B], uniformly from `kinds`."""
    return kinds[(uniform(Purpose.CAPTION, seed, indices, 1)[:, 0] * len(kinds)).astype(np.int64)]


def render(kinds: np.ndarray, seed: int, indices: np.ndarray, spread: Spread = WHOLE) -> np.ndarray:
    """Render videos [B, 3, F, H, W] in [0, 1], float32; position, pace, size, rotation and tone depend on (seed, index)."""
    first, displacement = _scenes(kinds, uniform(Purpose.SCENE, seed, indices, 9), spread)
    frames = [
        render_scenes(replace(first, center=first.center + displacement * time), SIDE) for time in np.linspace(0, 1, FRAMES)
    ]
    return np.stack(frames, axis=2)


def _scenes(kinds: np.ndarray, draws: np.ndarray, spread: Spread) -> tuple[Scenes, np.ndarray]:
    """Build the scene of the first frame, and the displacement [B, 2] from there to the last."""
    attributes, signed = attributes_of(kinds), 2 * draws - 1
    direction = TOWARDS[attributes["motion"]]
    center = spread.center * signed[:, :2] * np.where(direction != 0, 0.25, 1.0)
    displacement = direction * (spread.way[0] + (spread.way[1] - spread.way[0]) * draws[:, 2])[:, None]
    base = np.array(list(COLORS.values()))[attributes["color"]]
    first = Scenes(
        shape=attributes["shape"],
        color=attributes["color"],
        texture=np.zeros(len(kinds), np.int64),  # solid: stripes are no wider than a pixel here
        center=center,
        radius=spread.radius[0] + (spread.radius[1] - spread.radius[0]) * draws[:, 3],
        angle=spread.angle * signed[:, 4],
        rgb=np.clip(base + JITTER * signed[:, 5:8], 0, 1),
        grey=GREY[0] + (GREY[1] - GREY[0]) * draws[:, 8],
    )
    return first, displacement

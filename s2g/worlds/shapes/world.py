"""What the world holds: attributes, classes, and the scene of an index (deterministic by seed and index)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2g.rng import Purpose, uniform

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
COLORS = {
    "red": (0.87, 0.14, 0.14),
    "green": (0.13, 0.64, 0.20),
    "blue": (0.15, 0.30, 0.90),
    "yellow": (0.97, 0.83, 0.10),
    "purple": (0.60, 0.16, 0.72),
    "cyan": (0.10, 0.76, 0.84),
}
TEXTURES = ("solid", "striped", "checkered")
ATTRIBUTES = {"shape": len(SHAPES), "color": len(COLORS), "texture": len(TEXTURES)}
NUM_CLASSES = len(SHAPES) * len(COLORS) * len(TEXTURES)
SIZE = 32  # pixels of a side

GREY = (0.50, 0.90)  # brightness of the background
JITTER = 0.05  # largest shift of each colour channel


@dataclass(frozen=True)
class Ranges:
    """How far places, sizes and rotations spread; lengths in half widths of the image."""

    center: float  # largest offset of the centre
    radius: tuple[float, float]
    angle: float  # largest rotation, in radians


# FULL is the world. EASY, with shapes large and upright, is where training begins (ours; docs/shapes.md).
FULL = Ranges(center=0.28, radius=(0.40, 0.72), angle=0.40)
EASY = Ranges(center=0.22, radius=(0.55, 0.75), angle=0.25)


@dataclass(frozen=True)
class Scenes:
    """Ground truth of B scenes; lengths in half widths of the image, angles in radians, colours in [0, 1]."""

    shape: np.ndarray  # [B] int
    color: np.ndarray  # [B] int
    texture: np.ndarray  # [B] int
    center: np.ndarray  # [B, 2]: x to the right, y down
    radius: np.ndarray  # [B]
    angle: np.ndarray  # [B]
    rgb: np.ndarray  # [B, 3]: the colour after jitter
    grey: np.ndarray  # [B]

    @property
    def label(self) -> np.ndarray:
        """Class index of each scene, [B]."""
        return label_of(self.shape, self.color, self.texture)


def label_of(shape: np.ndarray, color: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Return the class index of attribute indices: shape major, then color, then texture."""
    return (shape * len(COLORS) + color) * len(TEXTURES) + texture


def attributes_of(label: np.ndarray) -> dict[str, np.ndarray]:
    """Return the attribute indices of class indices."""
    return {
        "shape": label // (len(COLORS) * len(TEXTURES)),
        "color": label // len(TEXTURES) % len(COLORS),
        "texture": label % len(TEXTURES),
    }


def class_name(label: int) -> str:
    """Describe a class, e.g. "red striped circle"."""
    attributes = attributes_of(np.array(label))
    return f"{tuple(COLORS)[attributes['color']]} {TEXTURES[attributes['texture']]} {SHAPES[attributes['shape']]}"


def scenes(seed: int, indices: np.ndarray, labels: np.ndarray | None = None, ranges: Ranges = FULL) -> Scenes:
    """Draw scenes of `indices` [B]; the class is uniform unless `labels` [B] fixes it."""
    draws = uniform(Purpose.SCENE, seed, indices, 9)
    if labels is None:
        labels = (draws[:, 0] * NUM_CLASSES).astype(np.int64)
    attributes = attributes_of(labels)
    signed = 2 * draws - 1
    base = np.array(list(COLORS.values()))[attributes["color"]]
    return Scenes(
        **attributes,
        center=ranges.center * signed[:, 1:3],
        radius=ranges.radius[0] + (ranges.radius[1] - ranges.radius[0]) * draws[:, 3],
        angle=ranges.angle * signed[:, 4],
        rgb=np.clip(base + JITTER * signed[:, 5:8], 0, 1),
        grey=GREY[0] + (GREY[1] - GREY[0]) * draws[:, 8],
    )


# Seeds of scenes, kept apart: what networks see in training, what they are checked on, what samples are measured against.
TRAIN_SEED, HELD_OUT_SEED, REFERENCE_SEED = 1, 2, 3

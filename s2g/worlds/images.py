"""Real images of a few classes, and training batches of them that depend on seed and step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform

from s2g.rng import Purpose, philox


@dataclass(frozen=True)
class Images:
    """uint8 pixels [N, H, W, C] with classes [N], places in `names`."""

    pixels: np.ndarray
    label: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.label)

    def where(self, chosen: np.ndarray) -> Images:
        """Select images by [N] booleans or indices."""
        return Images(self.pixels[chosen], self.label[chosen], self.names)

    def only(self, names: Sequence[str]) -> Images:
        """Select some classes, renumbered in the order of `names`."""
        numbers = np.array([self.names.index(name) for name in names])
        kept = np.isin(self.label, numbers)
        label = np.argsort(numbers)[np.searchsorted(np.sort(numbers), self.label[kept])]
        return Images(self.pixels[kept], label, tuple(names))


@dataclass(frozen=True)
class Wobble:
    """Mild changes that leave a class what it is; each drawn uniformly up to the largest."""

    shift: float = 0.0  # pixels, either way
    angle: float = 0.0  # radians, either way
    grow: float = 0.0  # relative size, either way
    flip: bool = False  # mirror images count as much as images

    @property
    def still(self) -> bool:
        """Whether images are moved at all, a mirror aside."""
        return not (self.shift or self.angle or self.grow)


def batch(images: Images, wobble: Wobble, seed: int, step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` images with replacement, float32 [B, C, H, W] in [-1, 1], and their classes [B]; by (seed, step)."""
    random = np.random.Generator(philox(Purpose.TRAINING, seed, step=step))
    chosen = random.integers(0, len(images), count)
    draws = random.random((count, 5))
    pixels = as_floats(images.pixels[chosen])
    moved = pixels if wobble.still else np.stack([_moved(*pair, wobble) for pair in zip(pixels, 2 * draws - 1, strict=True)])
    if wobble.flip:
        mirrored = draws[:, 4] < 0.5
        moved = np.where(mirrored[:, None, None, None], moved[..., ::-1], moved)
    return np.ascontiguousarray(moved, np.float32), images.label[chosen]


def as_floats(pixels: np.ndarray) -> np.ndarray:
    """Convert uint8 [N, H, W, C] to float32 [N, C, H, W] in [-1, 1], as networks take them."""
    return (pixels.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)


def _moved(image: np.ndarray, draw: np.ndarray, wobble: Wobble) -> np.ndarray:
    """Shift, rotate and resize one image [C, H, W] about its centre by linear interpolation; beyond the border is -1."""
    angle, size = wobble.angle * draw[2], 1 + wobble.grow * draw[3]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / size
    centre = (np.array(image.shape[1:]) - 1) / 2
    offset = centre - turn @ (centre + wobble.shift * draw[:2])
    return np.stack([affine_transform(plane, turn, offset, order=1, mode="grid-constant", cval=-1.0) for plane in image])

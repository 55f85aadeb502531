"""Images brought to a size by Pillow's bicubic filter, which smooths before it shrinks, to whole levels of 0 to 255."""

from __future__ import annotations

import numpy as np
from PIL import Image


def stretched(image: np.ndarray, side: int) -> np.ndarray:
    """Return a uint8 image [H, W, 3] as [side, side, 3], whatever its shape; the same bytes if it has that size."""
    if image.shape[:2] == (side, side):
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def center_square(image: np.ndarray, side: int) -> np.ndarray:
    """Return the square in the middle of a uint8 image [H, W, 3], resized to [side, side, 3]."""
    height, width = image.shape[:2]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    return stretched(np.ascontiguousarray(image[top : top + least, left : left + least]), side)

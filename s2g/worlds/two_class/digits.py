"""scikit-learn's bundled handwritten digits (UCI "Optical Recognition of Handwritten Digits"): real, 8x8, no download."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from s2g.worlds.images import Images, Wobble

SIZE = 8  # pixels of a side
DIGITS = tuple(str(digit) for digit in range(10))
# The two that a 5-nearest-neighbour classifier of the pixels confuses most often (13 of 356, five folds; docs/digits.md).
PAIR = ("1", "8")
HELD_OUT = 5  # every fifth image of a class is kept from training
# Ours: small beside the writers' own variety. Twice as much already blurs (docs/digits.md).
WOBBLE = Wobble(shift=0.2, angle=0.06, grow=0.03)


@cache
def digits() -> Images:
    """Return all 1,797 images of ten digits, pixels 0 to 16 stretched to uint8, in scikit-learn's order."""
    from sklearn.datasets import load_digits  # takes two seconds to load

    bundled: Any = load_digits()
    pixels = (bundled.images * (255 / 16) + 0.5).astype(np.uint8)
    return Images(pixels[..., None], np.asarray(bundled.target, np.int64), DIGITS)


def held_out(images: Images) -> np.ndarray:
    """Return which images [N] are kept from training: every fifth of each class."""
    rank = np.zeros(len(images), np.int64)
    for label in range(len(images.names)):
        in_class = images.label == label
        rank[in_class] = np.arange(in_class.sum())
    return rank % HELD_OUT == HELD_OUT - 1


def pair() -> Images:
    """Return the images of the two digits of Figure 4, 356 of them: class 0 is "1", class 1 is "8"."""
    return digits().only(PAIR)

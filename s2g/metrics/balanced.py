"""What chance alone does to items whose classes take turns: item i of class i mod `cycle`, every class equally often.

Classes differ (in difficulty, in where their features lie), and a unit holds only some of them. Units then differ by their
classes as well as by chance, but a set drawn again has the same classes: an interval over plain units is too wide. So
spread is measured from each class's own mean. Over units still, since masks are a unit's.
"""

from __future__ import annotations

import numpy as np

WITHIN = "within classes where these take turns"  # as results say how their intervals were made; older ones do not
FEWEST_CYCLES = 4  # of fewer items of a class, too little is left of their spread about their own mean


def turns(unit_of: np.ndarray, cycle: int) -> int:
    """Return `cycle` if spread is to be measured within classes; 0 for too few items, or units that hold every class.

    unit_of: [N] unit of each item, equal units of neighbours but for the last, which may be short.
    """
    unit = int((unit_of == unit_of[0]).sum())
    return cycle if 0 < FEWEST_CYCLES * cycle <= len(unit_of) and unit % cycle else 0


def within_classes(values: np.ndarray, class_of: np.ndarray) -> np.ndarray:
    """Return values [N] of the same mean, each as far from it as from the mean of its class [N].

    Times sqrt(n / (n - 1)), n the items of the class, which its mean takes from their spread. ValueError for a class of one.
    """
    values, counts = values.astype(np.float64), np.bincount(class_of)
    if (counts == 1).any():
        raise ValueError("a class of one item: it has no spread")
    means = np.bincount(class_of, values) / counts.clip(1)
    return values.mean() + (values - means[class_of]) * np.sqrt(counts / (counts - 1).clip(1))[class_of]

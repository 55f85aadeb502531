"""The reader of digits: a small CNN that says which of the ten an 8x8 image is, and gives features for what is measured."""

from __future__ import annotations

from functools import cache

import numpy as np
from safetensors.torch import load_file

from s2g.config.schema import PAIRS
from s2g.worlds.classifier import Classifier, read_gray

PROBE = PAIRS / "digits_probe.safetensors"


class DigitsProbe(Classifier):
    """Images [B, 1, 8, 8] to log probabilities [B, 10] and features [B, 64]."""

    def __init__(self) -> None:
        super().__init__(((24, 1), (48, 2), (48, 1), (96, 2)), side=2, features=64)


@cache
def shipped_probe() -> DigitsProbe:
    """Load the probe that ships with the package."""
    model = DigitsProbe()
    model.load_state_dict(load_file(PROBE), strict=True)
    return model.eval()


def read_digits(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return digits [B] and features [B, 64] of gray uint8 images [B, 8, 8, 1 or 3]."""
    logp, features = read_gray(shipped_probe(), pixels)
    return logp.argmax(-1), features

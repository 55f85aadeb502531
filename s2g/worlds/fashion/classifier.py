"""The reader of clothes: a small CNN that says which of the ten an image is, and gives features for what is measured."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from safetensors.torch import load_file

from s2g.config.schema import FASHION
from s2g.worlds.classifier import Classifier, read_gray

CLASSIFIER = FASHION / "fashion_classifier.safetensors"


class FashionClassifier(Classifier):
    """Images [B, 1, 28, 28] to log probabilities [B, 10] and features [B, 128]."""

    def __init__(self) -> None:
        super().__init__(((32, 1), (64, 2), (64, 1), (128, 2), (128, 2)), side=2, features=128)


@cache
def shipped_classifier() -> FashionClassifier:
    """Load the classifier that ships with the package."""
    model = FashionClassifier()
    model.load_state_dict(load_file(CLASSIFIER), strict=True)
    return model.eval()


def read_clothes(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities [B, 10] and features [B, 128] of gray uint8 images [B, 28, 28, 1 or 3]."""
    logp, features = read_gray(shipped_classifier(), pixels)
    return torch.from_numpy(logp).exp().numpy(), features  # as it was when samples were first measured: to the last bit

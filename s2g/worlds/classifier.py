"""A small CNN that says which of ten classes a gray image is of, and gives features for what is measured.

Each built-in world of gray photographs has one, trained on it (scripts/train.py) and shipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from s2g.io.one_thread import one_thread
from s2g.worlds.images import as_floats

CLASSES = 10


class Classifier(nn.Module):
    """Images [B, 1, S, S] in [-1, 1] to log probabilities [B, 10] and features [B, D]; statistics frozen in eval mode."""

    def __init__(self, layers: Sequence[tuple[int, int]], side: int, features: int) -> None:
        """layers: channels and stride of each convolution; side: of the last one's output, or of what it is averaged to."""
        super().__init__()
        trunk: list[nn.Module] = []
        before = 1
        for after, stride in layers:
            trunk += [nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.trunk = nn.Sequential(*trunk, nn.AdaptiveAvgPool2d(side), nn.Flatten())
        self.features = nn.Sequential(nn.Linear(side * side * before, features), nn.ReLU())
        self.head = nn.Linear(features, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.trunk(images))
        return self.head(features).log_softmax(-1), features


@torch.no_grad()
@one_thread()
def read_gray(classifier: Classifier, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log probabilities [B, 10] and features [B, D] of gray uint8 images [B, S, S, 1 or 3].

    On one thread: sums depend on how they are split.
    """
    logp, features = classifier(torch.from_numpy(as_floats(pixels[..., :1])))
    return logp.numpy(), features.numpy()

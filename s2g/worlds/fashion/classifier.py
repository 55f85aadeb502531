"""The reader of clothes: a small CNN that says which of the ten an image is, and gives features for what is measured."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s2g.config.schema import FASHION
from s2g.io.one_thread import one_thread
from s2g.worlds.two_class.images import as_floats

FEATURES = 128
CLASSIFIER = FASHION / "fashion_classifier.safetensors"


class FashionClassifier(nn.Module):
    """Images [B, 1, 28, 28] in [-1, 1] to log probabilities [B, 10] and features [B, 128]; statistics frozen in eval mode."""

    def __init__(self, width: int = 32, features: int = FEATURES) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for after, stride in ((width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2), (4 * width, 2)):
            layers += [nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.features = nn.Sequential(nn.Linear(16 * width, features), nn.ReLU())
        self.head = nn.Linear(features, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.trunk(images))
        return self.head(features).log_softmax(-1), features


@cache
def shipped_classifier() -> FashionClassifier:
    """Load the classifier that ships with the package."""
    model = FashionClassifier()
    model.load_state_dict(
        {name: value.float() if value.is_floating_point() else value for name, value in load_file(CLASSIFIER).items()}
    )
    return model.eval()


@torch.no_grad()
@one_thread()
def read_clothes(pixels: np.ndarray, classifier: FashionClassifier | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities [B, 10] and features [B, 128] of gray uint8 images [B, 28, 28, 1 or 3].

    On one thread: sums depend on how they are split.
    """
    logp, features = (classifier or shipped_classifier())(torch.from_numpy(as_floats(pixels[..., :1])))
    return logp.exp().numpy(), features.numpy()

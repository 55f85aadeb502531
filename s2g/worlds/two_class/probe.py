"""The reader of digits: a small CNN that says which of the ten an 8x8 image is, and gives features for what is measured."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s2g.config.schema import PAIRS
from s2g.io.one_thread import one_thread
from s2g.worlds.two_class.images import as_floats

FEATURES = 64
PROBE = PAIRS / "digits_probe.safetensors"


class DigitsProbe(nn.Module):
    """Images [B, 1, 8, 8] in [-1, 1] to log probabilities [B, 10] and features [B, 64]; statistics frozen in eval mode."""

    def __init__(self, width: int = 24, features: int = FEATURES) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for after, stride in ((width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2)):
            layers += [nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.features = nn.Sequential(nn.Linear(16 * width, features), nn.ReLU())
        self.head = nn.Linear(features, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.trunk(images))
        return self.head(features).log_softmax(-1), features


@cache
def shipped_probe() -> DigitsProbe:
    """Load the probe that ships with the package."""
    model = DigitsProbe()
    model.load_state_dict(load_file(PROBE), strict=True)
    return model.eval()


@torch.no_grad()
@one_thread()
def read_digits(pixels: np.ndarray, probe: DigitsProbe | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return digits [B] and features [B, 64] of grey uint8 images [B, 8, 8, 1 or 3]; one thread: sums depend on their split."""
    logp, features = (probe or shipped_probe())(torch.from_numpy(as_floats(pixels[..., :1])))
    return logp.argmax(-1).numpy(), features.numpy()

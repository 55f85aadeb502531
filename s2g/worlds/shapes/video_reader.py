"""The video reader: a small CNN that says what a video of 8 frames of 16x16 pixels shows, and which way it moves.

Shape and color are read off every frame by itself, so that what a frame looks like does not depend on the others; the
motion is read off where the frames have their object.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s2g.config.schema import BUILTIN
from s2g.worlds.shapes.motion import ATTRIBUTES, FRAMES, kind_of
from s2g.worlds.shapes.probe import convolutions, look

LOOKS, PLACE, WAY = 32, 16, 32  # numbers a frame's looks, its place, and a video's way are told in


@dataclass(frozen=True)
class VideoRead:
    """What the reader says of B videos."""

    logp: dict[str, Tensor]  # log probabilities by attribute [B, values]; shape and color are means over frames
    looks: Tensor  # [B, F, 32]: what every frame looks like
    features: Tensor  # [B, 64]: the mean looks, and the way

    def kinds(self) -> np.ndarray:
        """Return the likeliest kinds, [B]."""
        return kind_of(*(self.logp[name].argmax(-1).cpu().numpy() for name in ATTRIBUTES))


class VideoReader(nn.Module):
    """Videos [B, 3, F, 16, 16] in [-1, 1] to a VideoRead; batch statistics are frozen in eval mode."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*convolutions(width), nn.Flatten())
        self.looks = nn.Sequential(nn.Linear(16 * width, LOOKS), nn.ReLU())
        self.place = nn.Sequential(nn.Linear(16 * width, PLACE), nn.ReLU())
        self.way = nn.Sequential(nn.Linear(FRAMES * PLACE, WAY), nn.ReLU())
        self.heads = nn.ModuleDict(
            {name: nn.Linear(WAY if name == "motion" else LOOKS, count) for name, count in ATTRIBUTES.items()}
        )

    def forward(self, videos: Tensor) -> VideoRead:
        seen = self.trunk(videos.movedim(2, 1).flatten(0, 1))
        looks = self.looks(seen).unflatten(0, (-1, FRAMES))
        motion = self.way(self.place(seen).unflatten(0, (-1, FRAMES)).flatten(1))
        outputs = {name: head(motion) if name == "motion" else head(looks).mean(1) for name, head in self.heads.items()}
        logp = {name: values.log_softmax(-1) for name, values in outputs.items()}
        return VideoRead(logp, looks, torch.cat([looks.mean(1), motion], 1))


@cache
def shipped_video_reader() -> VideoReader:
    """Load the video reader that ships with the package."""
    model = VideoReader()
    model.load_state_dict(load_file(BUILTIN / "video_reader.safetensors"), strict=True)
    return model.eval()


def read_videos(videos: np.ndarray) -> VideoRead:
    """Apply the shipped video reader to uint8 videos [B, F, 16, 16, 3]."""
    return look(shipped_video_reader(), videos)

"""A small model that reads words: SiT with random weights whose class is the sum of a prompt's letters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from small_networks import randomise

from s2g.config.registry import MODELS
from s2g.models.base import Conditioning
from s2g.models.sit import SiT, SiTDenoiser

SIZES = {"size": 32, "patch": 8, "channels": 3, "width": 48, "depth": 12, "heads": 2, "learn_sigma": False}
TYPED = [
    *("model=tiny_sit", "model.family=worded", "~model.network.num_classes", "model.network.patch=8"),
    *("model.network.width=48", "model.network.heads=2", "model.unit=4", "sampler.steps=2", "executor.workers=1"),
    "guidance=s2",
]


class Worded(SiTDenoiser):
    """Its classes are of words."""

    def encode(self, prompts: Sequence[str]) -> dict[str, Conditioning]:
        return super().encode([sum(map(ord, str(prompt))) % self.network.num_classes for prompt in prompts])


def weights(folder: Path) -> Path:
    """A file of random weights for it."""
    torch.manual_seed(0)
    network = randomise(SiT(**SIZES), std=0.2)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "worded.safetensors")
    return folder / "worded.safetensors"


MODELS.add("worded", "worded_model:Worded", "for tests", reads_text=True)

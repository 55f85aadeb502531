"""Keep a pipeline's parts on the device, or in main memory until they are used."""

from __future__ import annotations

import torch
from torch import nn


class Offload:
    """Moves parts of a model: with `resident` all are on the device, with `offload` one at a time."""

    def __init__(self, device: torch.device, policy: str, *parts: nn.Module) -> None:
        self.device, self.policy = device, policy
        self.here: nn.Module | None = None  # the part that is on the device, where only one is
        if policy == "resident":
            for part in parts:
                self._move(part, device)

    def use(self, part: nn.Module) -> nn.Module:
        """Return the part after moving it to the device."""
        if self.policy == "offload" and self.here is not part:
            if self.here is not None:
                self._move(self.here, torch.device("cpu"))
            self._move(part, self.device)
            self.here = part
        return part

    @staticmethod
    def _move(part: nn.Module, device: torch.device) -> None:
        nn.Module.to(part, device)  # diffusers' own `to` says nothing of its types

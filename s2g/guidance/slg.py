"""Skip layer guidance (Stability-AI/sd3.5, sd3_impls.py): away from the network without some chosen blocks."""

from __future__ import annotations

from dataclasses import dataclass

from s2g.guidance.perturbed import Perturbed
from s2g.guidance.window import Window
from s2g.network.branch import DropBlocks, Edit

EARLY = Window(0.01, 0.2, "strict")


@dataclass(frozen=True)
class SLG(Perturbed):
    """Chosen blocks left out early in the trajectory; S2 with a fixed mask and another window."""

    slg_scale: float = 2.8  # diffusers' StableDiffusion3Pipeline; the official SD3.5-medium setting is 2.5
    window: Window = EARLY  # both sources

    @property
    def edit(self) -> Edit:
        return DropBlocks(self.layers)

    @property
    def weight(self) -> float:
        return self.slg_scale

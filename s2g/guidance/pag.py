"""Perturbed-attention guidance (arXiv 2403.17377): away from the network with image tokens that see only themselves."""

from __future__ import annotations

from dataclasses import dataclass

from s2g.guidance.perturbed import Perturbed
from s2g.network.branch import Edit, PassValues


@dataclass(frozen=True)
class PAG(Perturbed):
    """Self-attention becomes the identity; where it also holds the text, an image token sees itself and the text."""

    pag_scale: float = 3.0  # the source, and diffusers' pipelines

    @property
    def edit(self) -> Edit:
        return PassValues(self.layers, text=True)

    @property
    def weight(self) -> float:
        return self.pag_scale

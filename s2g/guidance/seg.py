"""Smoothed energy guidance (arXiv 2408.00760): away from the network with blurred queries."""

from __future__ import annotations

from dataclasses import dataclass

from s2g.errors import UserError
from s2g.guidance.perturbed import Perturbed
from s2g.network.branch import Edit, SmoothQueries

INFINITE = 9999.0  # official: any more is infinite blur


@dataclass(frozen=True)
class SEG(Perturbed):
    """Queries of the image are blurred by a Gaussian over the grid of tokens, video frame by frame."""

    seg_scale: float = 3.0  # fixed in the official pipeline
    sigma: float = 9999999.0  # of the blur, in tokens; above 9999 every query becomes the mean (official default)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma <= 0:
            raise UserError(f"guidance.sigma = {self.sigma}", allowed="above 0 (tokens); above 9999: infinite")
        if self.sigma > INFINITE:  # all of these are one run
            object.__setattr__(self, "sigma", 9999999.0)

    @property
    def edit(self) -> Edit:
        return SmoothQueries(self.layers, self.sigma)

    @property
    def weight(self) -> float:
        return self.seg_scale

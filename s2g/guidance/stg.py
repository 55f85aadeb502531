"""Spatiotemporal skip guidance (arXiv 2411.18664): away from the network with blocks, or their attention, skipped."""

from __future__ import annotations

from dataclasses import dataclass

from s2g.errors import UserError
from s2g.guidance.perturbed import Perturbed
from s2g.network.branch import DropBlocks, Edit, PassValues


@dataclass(frozen=True)
class STG(Perturbed):
    """mode residual (STG-R): a block hands on its input; attention (STG-A): every token attends to itself alone."""

    stg_scale: float = 1.0  # the official settings of Mochi, HunyuanVideo, CogVideoX and LTX
    mode: str = "residual"  # the only one in the official repository

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("residual", "attention"):
            raise UserError(f"guidance.mode = {self.mode}", allowed="residual, attention")

    @property
    def edit(self) -> Edit:
        return DropBlocks(self.layers) if self.mode == "residual" else PassValues(self.layers, text=False)

    @property
    def weight(self) -> float:
        return self.stg_scale

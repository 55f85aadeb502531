"""Any model seen as variance preserving: y = x / sqrt(alpha^2 + sigma^2) has alpha_bar = alpha^2 / (alpha^2 + sigma^2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from s2g.models.convention import Convention
from s2g.sampling.base import Guided, Predict

if TYPE_CHECKING:
    from torch import Tensor


def alpha_bar(convention: Convention, level: float) -> tuple[float, float]:
    """Return alpha_bar of y, and the length sqrt(alpha^2 + sigma^2) that x is divided by to give it."""
    alpha, sigma = convention.coefficients(level)
    length = math.hypot(alpha, sigma)
    return (alpha / length) ** 2, length


def predict_at(predict: Predict, x: Tensor, level: float, timestep: int | None) -> Guided | None:
    """Call predict at x [B, ...] with the integer timestep where there is one."""
    import torch

    timestep_tensor = None if timestep is None else torch.full((), timestep, device=x.device)  # filled there, not copied
    return predict(x, level, timestep=timestep_tensor)

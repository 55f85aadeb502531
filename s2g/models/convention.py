"""How a network's raw output, the noise level and the data relate.

Inside s2g the noise level s runs from 1 to 0 and velocity is noise - data. A flow has x = (1 - s) data + s noise; a
variance-preserving model keeps its own alpha and sigma, and its level is s = sigma / (alpha + sigma). Then x / (alpha + sigma)
is the flow's x at that level, so that windows and formulas in s are the same for both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from s2g.models.prediction_space import Space

if TYPE_CHECKING:
    from torch import Tensor


class Convention(Protocol):
    """Conversions between spaces at x [B, ...] and noise level `level`; pure, any dtype."""

    def coefficients(self, level: float) -> tuple[float, float]:
        """Return (alpha, sigma) of x = alpha data + sigma noise."""
        ...

    def to(self, space: Space, raw: Tensor, x: Tensor, level: float) -> Tensor:
        """Convert raw output to `space`; ZeroDivisionError where x holds no data to estimate."""
        ...

    def back(self, space: Space, value: Tensor, x: Tensor, level: float) -> Tensor:
        """Convert `space` to raw output; ZeroDivisionError for DENOISED at level 0, where the velocity is undetermined."""
        ...

    def noise(self, raw: Tensor, x: Tensor, level: float) -> Tensor:
        """Convert raw output to the estimate of the noise in x."""
        ...


class Flow:
    """Rectified flow: the raw output is the velocity, and data = x - s v."""

    def coefficients(self, level: float) -> tuple[float, float]:
        return 1 - level, level

    def to(self, space: Space, raw: Tensor, x: Tensor, level: float) -> Tensor:
        return x - level * raw if space is Space.DENOISED else raw

    def back(self, space: Space, value: Tensor, x: Tensor, level: float) -> Tensor:
        if space is not Space.DENOISED:
            return value
        if level == 0:
            raise ZeroDivisionError("at noise level 0 the denoised estimate is x itself and gives no velocity")
        return (x - value) / level

    def noise(self, raw: Tensor, x: Tensor, level: float) -> Tensor:
        return x + (1 - level) * raw


class VP:
    """Variance preserving, alpha^2 + sigma^2 = 1: the raw output is the noise, and data = (x - sigma noise) / alpha."""

    def coefficients(self, level: float) -> tuple[float, float]:
        length = math.hypot(1 - level, level)
        return (1 - level) / length, level / length

    def to(self, space: Space, raw: Tensor, x: Tensor, level: float) -> Tensor:
        if space is Space.RAW:
            return raw
        alpha, sigma = self.coefficients(level)
        if alpha == 0:
            raise ZeroDivisionError("at noise level 1 a variance-preserving x is noise alone and gives no data")
        data = (x - sigma * raw) / alpha
        return data if space is Space.DENOISED else raw - data

    def back(self, space: Space, value: Tensor, x: Tensor, level: float) -> Tensor:
        alpha, sigma = self.coefficients(level)
        if space is Space.VELOCITY:
            return (x + alpha * value) / (alpha + sigma)
        if space is Space.RAW:
            return value
        if sigma == 0:
            raise ZeroDivisionError("at noise level 0 the denoised estimate is x itself and gives no noise")
        return (x - alpha * value) / sigma

    def noise(self, raw: Tensor, x: Tensor, level: float) -> Tensor:
        return raw

"""How a network's raw output, the noise level and the data relate.

Inside s2g the noise level s runs from 1 to 0, x = (1 - s) data + s noise, and velocity is noise - data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from s2g.space import Space

if TYPE_CHECKING:
    from torch import Tensor


class Convention(Protocol):
    """Conversions between spaces at x [B, ...] and noise level `level`; pure, any dtype."""

    def to(self, space: Space, raw: Tensor, x: Tensor, level: float) -> Tensor:
        """Raw output to `space`."""
        ...

    def back(self, space: Space, value: Tensor, x: Tensor, level: float) -> Tensor:
        """`space` to raw output; ZeroDivisionError for DENOISED at level 0, where it says nothing of the velocity."""
        ...


class Flow:
    """Rectified flow: the raw output is the velocity, and data = x - s v."""

    def to(self, space: Space, raw: Tensor, x: Tensor, level: float) -> Tensor:
        return x - level * raw if space is Space.DENOISED else raw

    def back(self, space: Space, value: Tensor, x: Tensor, level: float) -> Tensor:
        if space is not Space.DENOISED:
            return value
        if level == 0:
            raise ZeroDivisionError("at noise level 0 the denoised estimate is x itself and gives no velocity")
        return (x - value) / level

"""Inner products and norms of one item against another, over everything but the batch axis, in float64.

A latent has up to millions of entries, and a projection divides one such sum by another: fp32 would lose the digits
that tell a cap or an angle apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Return <a, b> of each item: [B, ...] to float64 [B, 1, ...], ready to be multiplied back."""
    return (a.double() * b.double()).sum(dim=tuple(range(1, a.ndim)), keepdim=True)


def norm(a: Tensor) -> Tensor:
    """Return |a| of each item, float64 [B, 1, ...]."""
    return inner(a, a).sqrt()


def part_along(a: Tensor, axis: Tensor) -> Tensor:
    """Return the part of each `a` along `axis` [B, ...], float64; none along an axis of length 0."""
    length = inner(axis, axis)
    return (inner(a, axis) / length).where(length > 0, 0.0) * axis.double()


def spread(a: Tensor) -> Tensor:
    """Return standard deviation of each item's entries, unbiased, float64 [B, 1, ...]."""
    return a.double().std(dim=tuple(range(1, a.ndim)), keepdim=True)

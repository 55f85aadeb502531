"""Noise levels of a trajectory, from 1 to 0."""

from __future__ import annotations


def flow_levels(steps: int, shift: float = 1.0) -> tuple[float, ...]:
    """steps + 1 levels from 1 to 0, evenly spaced, then shifted: s -> shift s / (1 + (shift - 1) s) (arXiv 2403.03206)."""
    even = (1 - i / steps for i in range(steps + 1))
    return tuple(shift * s / (1 + (shift - 1) * s) for s in even)

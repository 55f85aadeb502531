"""Noise levels of a trajectory, from 1 to 0."""

from __future__ import annotations

from dataclasses import dataclass


def flow_levels(steps: int, shift: float = 1.0) -> tuple[float, ...]:
    """steps + 1 levels from 1 to 0, evenly spaced, then shifted: s -> shift s / (1 + (shift - 1) s) (arXiv 2403.03206)."""
    even = (1 - i / steps for i in range(steps + 1))
    return tuple(shift * s / (1 + (shift - 1) * s) for s in even)


@dataclass(frozen=True)
class FlowGrid:
    """What fixed-step solvers of the flow share: their levels, and no memory."""

    steps: int
    shift: float = 1.0

    def levels(self) -> tuple[float, ...]:
        return flow_levels(self.steps, self.shift)

    def start(self) -> dict[str, object]:
        return {}

"""FDG, frequency-decoupled guidance (arXiv 2506.19713): CFG with one scale for coarse and another for fine structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.guidance.base import Ability, BaseMethod, State, Step
from s2g.guidance.geometry import part_along
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # the pyramid's blur, its ends reflected (the end itself not repeated)


def blur(size: int) -> Tensor:
    """Return the blur of a line as a matrix [size, size], float64."""
    import torch  # planning needs the knobs, not the arithmetic

    matrix, period = torch.zeros(size, size, dtype=torch.float64), max(2 * (size - 1), 1)
    for row in range(size):
        for offset, weight in zip(range(-2, 3), BINOMIAL, strict=True):
            place = (row + offset) % period
            matrix[row, min(place, period - place) if size > 1 else 0] += weight
    return matrix


def resized(size: int, to: int) -> Tensor:
    """Return bilinear resizing of a line as a matrix [to, size], float64: pixels are squares, the ends are held."""
    import torch

    matrix = torch.zeros(to, size, dtype=torch.float64)
    for row in range(to):
        at = min(max((row + 0.5) * size / to - 0.5, 0), size - 1)
        low = int(at)
        matrix[row, low] += 1 - (at - low)
        matrix[row, min(low + 1, size - 1)] += at - low
    return matrix


@lru_cache(maxsize=64)
def _halving(size: int, device: torch.device) -> Tensor:
    """Return on the device, once for all steps, what blurs a line and halves it."""
    return (resized(size, max(size // 2, 1)) @ blur(size)).to(device, non_blocking=True)


@lru_cache(maxsize=64)
def _enlarging(size: int, to: int, device: torch.device) -> Tensor:
    """Return likewise what enlarges a line and blurs it."""
    return (blur(to) @ resized(size, to)).to(device, non_blocking=True)


def down(x: Tensor) -> Tensor:
    """Blur [..., H, W], float64, and halve its sides (rounded down, no side below 1)."""
    height, width = (_halving(size, x.device) for size in x.shape[-2:])
    return height @ x @ width.T


def up(x: Tensor, like: Tensor) -> Tensor:
    """Enlarge [..., h, w] to the sides of `like` and blur it."""
    height, width = (_enlarging(size, to, x.device) for size, to in zip(x.shape[-2:], like.shape[-2:], strict=True))
    return height @ x @ width.T


def pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """Return the Laplacian pyramid of x [..., H, W], finest level first: each level less the next one enlarged."""
    parts, rest = [], x.double()
    for _ in range(levels - 1):
        coarse = down(rest)
        parts.append(rest - up(coarse, rest))
        rest = coarse
    return [*parts, rest]


def fdg(cond: Tensor, uncond: Tensor, scales: Sequence[float], parallel: float = 1.0) -> Tensor:
    """Return the sum over levels of u_l + scales_l d_l, d = c_l - u_l with its part along c_l times `parallel`.

    scales: of the finest level first. Predictions [B, C, H, W], or [B, C, F, H, W] frame by frame (ours).
    """
    levels = []
    for c, u, scale in zip(pyramid(cond, len(scales)), pyramid(uncond, len(scales)), scales, strict=True):
        difference = c - u
        if parallel != 1:
            difference = difference + (parallel - 1) * part_along(difference, c)
        levels.append(u + scale * difference)
    guided = levels.pop()
    while levels:
        finer = levels.pop()
        guided = up(guided, finer) + finer
    return guided.to(cond.dtype)


@dataclass(frozen=True)
class FDG(BaseMethod):
    """Two evaluations a step. Scales fall evenly from the finest level's to the coarsest's (ours; the source has two levels).

    With parallel = 1 its weights sum to 1 at every level, so any space will do; else it is of the raw output.
    """

    scale: float = 5.0  # of the coarsest level; the source's SDXL runs
    high_scale: float = 10.0  # of the finest; the same. Equal scales, with parallel 1, are CFG
    levels: int = 2  # diffusers' guider
    parallel: float = 1.0  # weight of the difference's part along cond, level by level; diffusers' default

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise UserError(f"guidance.levels = {self.levels}", allowed="2 or more", todo="guidance=cfg is one level")

    @property
    def space(self) -> Space:
        return Space.RAW

    @property
    def asks(self) -> frozenset[Ability]:
        return frozenset({Ability.GRID})

    @property
    def neutral(self) -> str:
        if self.off:
            return "scale = high_scale = 1: it is cond alone"
        return "scale = high_scale, parallel = 1: it is CFG" if self.scale == self.high_scale and self.parallel == 1 else ""

    @property
    def scales(self) -> tuple[float, ...]:
        """Of each level, the finest first."""
        step = (self.scale - self.high_scale) / (self.levels - 1)
        return (*(self.high_scale + i * step for i in range(self.levels - 1)), self.scale)

    @property
    def off(self) -> bool:
        """Whether every level is cond's."""
        return self.scale == self.high_scale == 1

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND,) if self.off else (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        cond = preds[COND]
        if self.off:
            return cond
        if cond.ndim < 4:
            raise UserError(
                f"guidance = fdg: latents of shape {list(cond.shape[1:])} have no rows and columns",
                allowed="images [C, H, W] or videos [C, F, H, W]",
            )
        return fdg(cond, preds[UNCOND], self.scales, self.parallel)

"""A network that is exact: data ~ N(MEAN, STD^2) in every dimension, so that end points and distributions are known."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from s2g.guidance.none import NoGuidance
from s2g.models.base import Conditioning, Output
from s2g.models.convention import VP, Convention, Flow
from s2g.models.prediction_space import Space
from s2g.network.blocks import register_block
from s2g.network.evaluate import Evaluator
from s2g.sampling.base import Sampler
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.unit import Unit

MEAN, STD = 1.5, 0.4


class Plus(nn.Module):
    """A residual block that adds a constant."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x: Tensor) -> Tensor:
        return x + self.amount


register_block(Plus, ["x"], ["x"])


class Exact:
    """The exact prediction, plus cond's bias, plus blocks that add nothing unless told to; `variance` beside it if given."""

    token_grid, passes, order = (1, 1), "batched", ("cond", "uncond")

    def __init__(
        self,
        amounts: tuple[float, ...] = (0.0, 0.0, 0.0),
        convention: Convention | None = None,
        shape: tuple[int, ...] = (2,),
        variance: float | None = None,
    ) -> None:
        self.network = nn.Sequential(*(Plus(amount) for amount in amounts)).double()
        self.convention = convention or Flow()
        self.latent_shape = shape
        self.variance = variance
        self.asked: list[tuple[float, int | None]] = []  # level and timestep of every call

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.network)

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        self.asked.append((level, None if timestep is None else int(timestep)))
        data = denoised(self.convention, x.double(), level)
        alpha, sigma = self.convention.coefficients(level)
        noise = (x - alpha * data) / sigma if sigma > 0 else torch.zeros_like(data)
        raw = noise if isinstance(self.convention, VP) else noise - data
        raw = raw + conditioning.tensors["bias"]
        for block in self.network:
            raw = block(raw)
        return Output(raw, None if self.variance is None else torch.full_like(raw, self.variance))

    def encode(self, prompts: list[float]) -> dict[str, Conditioning]:
        bias = torch.tensor(prompts, dtype=torch.float64)[:, None]
        return {"cond": Conditioning({"bias": bias}), "uncond": Conditioning({"bias": torch.zeros_like(bias)})}

    def decode(self, latents: Tensor) -> Tensor:
        return latents


class Denoised(NoGuidance):
    """The conditional prediction alone, combined as estimates of the data."""

    space = Space.DENOISED


class Still(NoGuidance):
    """A method that never moves."""

    def branches(self, step):
        return ()


def denoised(convention: Convention, x: Tensor, level: float) -> Tensor:
    """E[data | x] of the Gaussian."""
    alpha, sigma = convention.coefficients(level)
    return MEAN + alpha * STD**2 / (alpha**2 * STD**2 + sigma**2) * (x - alpha * MEAN)


def latents(sampler: Sampler, network: Exact | None = None, method=None, items: int = 8, seed: int = 5) -> Tensor:
    """What comes out for the first items of a unit."""
    network, unit = network or Exact(), Unit(0, tuple(range(items)), seed, mask_seed=0)
    with Evaluator(network) as evaluator:
        return sample(evaluator, method or NoGuidance(), sampler, network.encode([0.0] * items), unit).latents


def exact_end(sampler: Sampler, network: Exact | None = None, items: int = 8, seed: int = 5) -> Tensor:
    """Where the exact flow carries the starting points: at level s, x is alpha MEAN + its deviation, and keeps its quantile."""
    network = network or Exact()
    start = initial_noise(seed, range(items), network.latent_shape).double()
    alpha, sigma = network.convention.coefficients(sampler.levels()[0])
    return MEAN + STD * (start - alpha * MEAN) / math.hypot(alpha * STD, sigma)


def error(sampler: Sampler, network: Exact | None = None, method=None) -> float:
    """Largest distance of the end points from the exact flow's."""
    return float((latents(sampler, network, method) - exact_end(sampler, network)).abs().max())

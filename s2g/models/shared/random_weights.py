"""Random weights for a network of any size: they show that it runs and what it costs, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from s2g.rng import Purpose, normal

SMALL = 0.02  # of biases and around the gains of norms
NETWORK, DECODER = 0, 1  # which network of a model: one seed gives each its own numbers


def random_state(
    network: nn.Module,
    seed: int,
    part: int = NETWORK,
    fixed: Mapping[str, Tensor] | None = None,
    dtype: Callable[[str], torch.dtype] = lambda name: torch.float32,
) -> dict[str, Tensor]:
    """Draw a state for `network`, which may be on the meta device: tensor i of (seed, part) is its own stream, in fp32.

    Matrices keep the size of what goes through them (std 1 / sqrt(fan in)), gates included, so that every block shows in
    the output; at the official initialisation all gates are 0. `fixed` tensors are not drawn. dtype: of a tensor, by its name.
    """
    fixed = fixed or {}
    return {
        name: fixed[name] if name in fixed else _drawn(name, tuple(tensor.shape), seed, item, part).to(dtype(name))
        for item, (name, tensor) in enumerate(network.state_dict().items())
    }


def _drawn(name: str, shape: tuple[int, ...], seed: int, item: int, part: int) -> Tensor:
    values = torch.from_numpy(normal(Purpose.WEIGHTS, seed, item, shape, step=part))
    if len(shape) > 1:
        return values.div_(math.sqrt(math.prod(shape[1:])))
    values.mul_(SMALL)
    return values.add_(1.0) if name.endswith("weight") else values  # the gain of a norm

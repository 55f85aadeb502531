"""A network whose blocks each add a constant, so that everything that is asked of its sub-networks is known by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from s2g.experiments.studies import predicted, redundancy
from s2g.guidance.s2 import S2
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Flow
from s2g.network import blocks


class Adding(nn.Module):
    """A block: its input plus a constant [D]."""

    def __init__(self, value: Sequence[float]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.value


class Constant:
    """A denoiser that predicts the sum of its blocks' constants whatever it sees, and with the condition `told` more."""

    convention = Flow()
    token_grid = (1,)
    passes = "separate"
    order = ("cond", "uncond")

    def __init__(self, values: Sequence[Sequence[float]], told: Sequence[float]) -> None:
        self.network = nn.Sequential(*[Adding(value) for value in values])
        self.told, self.latent_shape = torch.tensor(told), (len(told),)

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.network)

    def encode(self, prompts: Sequence[Any]) -> dict[str, Conditioning]:
        ones = torch.ones(len(prompts), 1)
        return {"cond": Conditioning({"on": ones}), "uncond": Conditioning({"on": 0 * ones})}

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        return Output(self.network(conditioning.tensors["on"] * self.told))


@dataclass(frozen=True)
class Model:
    """As much of a model's configuration as studies look at."""

    network: Constant

    @property
    def blocks(self) -> int:
        return len(self.network.blocks)


@dataclass(frozen=True)
class Data:
    """A bench whose unseen images are all one vector [D]."""

    image: tuple[float, ...] = (0.0, 0.0)

    def unseen(self, indices: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        return np.tile(np.array(self.image, np.float32), (len(indices), 1)), list(indices)


@dataclass(frozen=True)
class ConstantRun:
    """As much of a run as studies look at."""

    model: Model
    weak: Model | None = None
    guidance: S2 = field(default_factory=S2)
    bench: Data = field(default_factory=Data)
    seed: int = 0
    mask_seed: int = 0
    key: str = ""


def understood(monkeypatch: Any) -> Callable[..., Any]:
    """Let studies load these networks; return make(values, told, weak=None, **fields of the run)."""
    monkeypatch.setattr(blocks, "RULES", dict(blocks.RULES))
    blocks.register_block(Adding, ["x"], ["x"])
    for module in (predicted, redundancy):
        monkeypatch.setattr(module, "load", lambda model, device: (model.network, None))

    def make(values: Any, told: Any = (0.0, 0.0), weak: Any = None, **other: Any) -> Any:
        partner = None if weak is None else Model(Constant([weak], (0.0,) * len(told)))
        return ConstantRun(Model(Constant(values, told)), partner, **other)

    return make

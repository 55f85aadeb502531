"""Small residual networks on points of one or two dimensions, and the exact denoiser of any mixture in closed form.

Shapes: B batch, D dimensions of a point, W width, K modes. Time runs from 0 (noise) to 1 (data) inside the network, as in SiT;
the adapter flips time and sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Flow
from s2g.models.shared.weights import check_finite, check_state, read_weights
from s2g.worlds.mixtures.mixture import Mixture
from s2g.worlds.mixtures.weights_index import DATA, SEED


def mixture_of(config: ModelConfig) -> Mixture:
    """Return the data of a toy model; UserError if its network settings do not name one."""
    missing = [name for name in DATA if name not in config.network]
    if missing:
        raise UserError(f"model.network.{missing[0]}: missing", todo="name place, std and classes of the mixture")
    place, std, classes = (config.network[name] for name in DATA)
    return Mixture.named(place, float(std), classes)


class ToyBlock(nn.Module):
    """x + MLP(norm(x) + condition): x [B, W], c [B, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.condition = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x) + self.condition(c))


class ToyNetwork(nn.Module):
    """Velocity of noisy points: x [B, D], t [B] in [0, 1], labels [B] -> data - noise [B, D]; the last class is "none"."""

    rates: Tensor

    def __init__(self, dimensions: int, width: int, depth: int, num_classes: int, frequencies: int = 16) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.register_buffer("rates", torch.logspace(0, 2, frequencies) * math.pi / 2, persistent=False)
        self.point = nn.Linear(dimensions, width)
        self.time = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(num_classes + 1, width)
        self.blocks = nn.ModuleList([ToyBlock(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, dimensions)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        angles = t[:, None] * self.rates
        c = nn.functional.silu(self.time(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.label(labels))
        x = self.point(x)
        for block in self.blocks:
            x = block(x, c)
        return self.head(self.norm(x))


def initialise(network: ToyNetwork) -> None:
    """Initialise as torch does, but with every block the identity and small label embeddings."""
    for name, parameter in network.named_parameters():
        if ".mlp.2." in name:
            nn.init.zeros_(parameter)
    nn.init.normal_(network.label.weight, std=0.02)


class ToyDenoiser:
    """A toy network behind its adapter; class labels as prompts, points as they are."""

    order = ("cond", "uncond")

    def __init__(self, network: nn.Module, blocks: Sequence[nn.Module], mixture: Mixture, passes: str) -> None:
        self.network, self._blocks, self.mixture, self.passes = network, list(blocks), mixture, passes
        self.convention = Flow()
        self.latent_shape = (mixture.dimensions,)
        self.token_grid = (1,)

    @staticmethod
    def load(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> ToyDenoiser:
        """Load the network of `config` with its weights on `device`; UserError for a file that does not fit."""
        made = ToyDenoiser._made(config)
        state = read_weights(config.weights_file(), config.key, made.network.state_dict().keys())
        check_state(made.network, state, config)
        check_finite(state, f"{config.key} = {config.weights}")
        made.network.load_state_dict({name: tensor.to(dtype) for name, tensor in state.items()}, strict=True)
        made.network.to(device=device, dtype=dtype).eval()
        return made

    @classmethod
    def meta_model(cls, config: ModelConfig) -> ToyDenoiser:
        """Build the same network without numbers, on the meta device: for counting FLOPs."""
        with torch.device("meta"):
            return cls._made(config)

    @staticmethod
    def _made(config: ModelConfig) -> ToyDenoiser:
        mixture, settings = (
            mixture_of(config),
            {key: value for key, value in config.network.items() if key not in (*DATA, SEED)},
        )
        try:
            network = ToyNetwork(mixture.dimensions, num_classes=mixture.num_classes, **settings)
        except TypeError as error:
            raise UserError(f"model.network = {dict(config.network)}: no such toy network ({error})") from error
        return ToyDenoiser(network, list(network.blocks), mixture, config.passes)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return self._blocks

    def encode(self, prompts: Sequence[int]) -> dict[str, Conditioning]:
        labels = torch.tensor(list(prompts), dtype=torch.int64, device=next(self.network.buffers()).device)
        none = torch.full_like(labels, self.mixture.num_classes)
        return {"cond": Conditioning({"labels": labels}), "uncond": Conditioning({"labels": none})}

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        t = torch.full((len(x),), 1 - level, dtype=x.dtype, device=x.device)
        return Output(-self.network(x, t, conditioning.tensors["labels"]))

    def decode(self, latents: Tensor) -> Tensor:
        return latents.float()


class Posterior(nn.Module):
    """The exact velocity of a mixture, as the one block of a network: x [B, D], labels [B] -> data - noise [B, D].

    With data of mode k ~ N(m_k, std^2): x = (1-s) data + s noise ~ N((1-s) m_k, v), v = (1-s)^2 std^2 + s^2. Then
    E[data | x, k] = m_k + (1-s) std^2 r_k / v and E[noise | x, k] = s r_k / v with r_k = x - (1-s) m_k, and modes weigh
    in by their responsibility for x. Computed in double precision; no division by s, so level 0 is no special case.
    """

    means: Tensor  # [K, D]
    member: Tensor  # [C + 1, K]: which modes a class has; the last row is all of them

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.std = mixture.std
        mode_labels = torch.tensor(mixture.labels)
        member = torch.stack(
            [*(mode_labels == label for label in range(mixture.num_classes)), torch.ones_like(mode_labels, dtype=torch.bool)]
        )
        self.register_buffer("means", torch.tensor(mixture.means))
        self.register_buffer("member", member)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        s = 1 - t[:, None, None].double()
        away = x.double()[:, None] - (1 - s) * self.means  # [B, K, D]
        variance = (1 - s) ** 2 * self.std**2 + s**2
        logits = -(away**2).sum(-1) / (2 * variance[..., 0])
        weights = logits.masked_fill(~self.member[labels], -torch.inf).softmax(-1)[..., None]  # [B, K, 1]
        velocity = self.means + ((1 - s) * self.std**2 - s) / variance * away
        return (weights * velocity).sum(1).to(x.dtype)


class ExactNetwork(nn.Module):
    """The posterior as a network of one block, which no method drops: block 0 is protected."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.posterior = Posterior(mixture)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return self.posterior(x, t, labels)


class ExactDenoiser(ToyDenoiser):
    """The exact denoiser of a mixture, with and without its class: what a perfect network would say. It has no weights."""

    @staticmethod
    def of(mixture: Mixture) -> ExactDenoiser:
        """Return the closed form of a mixture, on the CPU."""
        network = ExactNetwork(mixture)
        return ExactDenoiser(network, [network.posterior], mixture, "batched")

    @staticmethod
    def load(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> ExactDenoiser:
        """Load the network of `config` with its weights on `device`; UserError for a file that does not fit."""
        made = ExactDenoiser._made(config)
        made.network.to(device)
        return made

    @staticmethod
    def _made(config: ModelConfig) -> ExactDenoiser:
        network = ExactNetwork(mixture := mixture_of(config))
        return ExactDenoiser(network, [network.posterior], mixture, config.passes)

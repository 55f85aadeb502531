"""A network that nobody knows, guided in a loop of your own: name what its block takes and returns, and give both calls."""

from itertools import pairwise

import torch
from torch import Tensor, nn

import s2g


class Block(nn.Module):
    def forward(self, h: Tensor, label: Tensor) -> Tensor:
        return h + torch.tanh(h + label)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(8))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        for block in self.layers:
            x = block(x, label)
        return x


def main(omega: float = 0.25) -> tuple[Tensor, list[dict[int, tuple[int, ...]]]]:
    s2g.register_block(Block, state=["h"], returns=["h"])
    x, label, none, levels = torch.linspace(-1, 1, 5), torch.tensor(0.3), torch.tensor(0.0), [1.0, 0.75, 0.5, 0.25, 0.0]
    with s2g.guide(Network(), s2g.S2(omega=omega), scale=2.0, seed=0) as guided:
        guided.begin(levels)  # noise levels; each call is a step of it
        for level, after in pairwise(levels):
            x = x + (after - level) * guided({"x": x, "label": label}, {"x": x, "label": none})
    return x, guided.masks


if __name__ == "__main__":
    print("x, and the blocks that each step left out:", *main(), sep="\n")

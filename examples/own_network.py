"""A network that nobody knows: name what its block takes and returns, and leave out any of its blocks."""

import torch
from torch import Tensor, nn

import s2g
from s2g.network.architectures import blocks_of
from s2g.network.control import BlockControl, Pass


class Block(nn.Module):
    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        return h + torch.tanh(h + time)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(8))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        for block in self.layers:
            x = block(x, time)
        return x


def main() -> tuple[Tensor, Tensor]:
    s2g.register_block(Block, state=["h"], returns=["h"])
    network, x, time = Network(), torch.linspace(-1, 1, 5), torch.tensor(0.3)
    with BlockControl(blocks_of(network)) as control, control.during(Pass(dropped=frozenset({2, 5}))):
        sub = network(x, time)
    return network(x, time), sub


if __name__ == "__main__":
    print("D_cond, D_sub:", *main(), sep="\n")

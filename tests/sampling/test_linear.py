"""The exact linear case: every prediction is the straight way from noise to data, and so should be where it ends."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.models.toy import ToyBlock, ToyDenoiser
from s2g.network.evaluate import Evaluator
from s2g.sampling.euler import Euler
from s2g.sampling.loop import initial_noise, sample
from s2g.sampling.unit import Unit
from s2g.worlds.mixtures.mixture import Mixture

ITEMS = (0, 1, 2, 3)
DATA = torch.tensor([[4.0], [-4.0], [3.5], [-5.0]])
NOISE = initial_noise(0, ITEMS, (1,))


class Straight(nn.Module):
    """data - noise of each row, whatever x, level and condition; its blocks add nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("way", DATA - NOISE)
        self.blocks = nn.ModuleList([ToyBlock(1) for _ in range(4)])
        for block in self.blocks:
            for parameter in block.mlp[2].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        added = torch.zeros_like(x)
        for block in self.blocks:
            added = block(added, added)
        return added + self.way.repeat(len(x) // len(DATA), 1)


@pytest.mark.parametrize("omega", [0.25, 1.0])
@pytest.mark.parametrize("form", ["eq4", "eq20"])
def test_eq4_ends_at_the_data_and_eq20_leaves_a_share_of_the_noise(form: str, omega: float) -> None:
    network = Straight()
    denoiser = ToyDenoiser(network, list(network.blocks), Mixture.named("line", 0.5, "each"), "batched")
    method = S2(CFG(2.0), omega=omega, window=Window(0, 1), form=form)
    with Evaluator(denoiser) as evaluator, torch.inference_mode():
        found = sample(evaluator, method, Euler(steps=10), evaluator.encode([0] * 4), Unit(0, ITEMS, 0, 0)).latents
    expected = DATA if form == "eq4" else (1 - omega) * DATA + omega * NOISE
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

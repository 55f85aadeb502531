"""What an image costs: the paper's Table 5 to its digits, and FLOPs by independent counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from s2g.config.compose import compose_config
from s2g.engine.cost import multiply_accumulates
from s2g.engine.resolve import outline
from s2g.experiments.studies.cost import Cost


def counted(*overrides: str) -> dict[str, float]:
    return Cost().measure(outline(compose_config("bench=prompts", *overrides)))


@pytest.mark.slow("full-size meta model")
def test_table_5_as_the_paper_counts() -> None:
    """168.4 and 237.6 are printed; 56 and 56 + 23 forwards of SD3-medium at 1024x1024 with 333 tokens of text."""
    cfg, s2 = counted("model=sd3", "guidance=cfg"), counted("model=sd3", "guidance=s2")
    assert (cfg["evaluations"], s2["evaluations"]) == (56, 79)
    assert cfg["macs"] == pytest.approx(168.406, abs=5e-4) and s2["macs"] == pytest.approx(237.572, abs=5e-4)


@pytest.mark.slow("full-size meta model")
def test_true_flops_of_sd3() -> None:
    """498.6 TFLOP; two blocks of 24 dropped in 23 of 28 steps: 1.376 times without prefix reuse, 1.245 times with it.

    The latter two are means over masks of which the count draws some two hundred.
    """
    cfg, s2 = counted("model=sd3", "guidance=cfg"), counted("model=sd3", "guidance=s2")
    assert cfg["tflops"] == cfg["plain"] == pytest.approx(498.6, abs=0.05)
    assert s2["plain"] / cfg["plain"] == pytest.approx(1.376, abs=0.002)
    assert s2["tflops"] / cfg["tflops"] == pytest.approx(1.245, abs=0.01)


def test_multiply_accumulates_of_known_layers() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.Flatten(2), nn.LayerNorm(16), nn.Linear(16, 5))
    plain = nn.LayerNorm(5, elementwise_affine=False)
    both = nn.Sequential(network, plain)
    found = multiply_accumulates(both, lambda: both(torch.zeros(2, 3, 4, 4)))
    assert found == 2 * (8 * 16 * 27) + 5 * (2 * 8 * 16) + 2 * 8 * 16 * 5 + 4 * (2 * 8 * 5)

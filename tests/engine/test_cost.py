"""FLOPs by block, counted on networks without numbers, against closed formulas and against what a resumed pass really does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from s2g.engine.cost import PassCost, measure
from s2g.models.sit import SiT, SiTDenoiser
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.control import BlockControl, Pass
from s2g.network.evaluate import Account, Evaluator
from tests.small_networks import SMALL, TEXT, latents


def counted(call: Callable[[], object]) -> int:
    """FLOPs of a call, by torch's own counter."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def meta_sit(**sizes: Any) -> SiTDenoiser:
    """A SiT on the meta device, behind its adapter."""
    with torch.device("meta"):
        network = SiT(**sizes).eval()
    return SiTDenoiser(network, size=sizes.get("size", 32), channels=sizes.get("channels", 4), passes="batched")


def cost_of(network: Any) -> PassCost:
    """The cost of one item's pass."""
    device = next(network.network.parameters()).device
    x, conditioning = torch.zeros(1, *network.latent_shape, device=device), network.encode([1])["cond"]
    with torch.no_grad():
        return measure(network.network, network.blocks, lambda: network.forward(x, 0.5, conditioning))


def sit_block(tokens: int, width: int) -> int:
    """FLOPs of one SiT block: qkv, projection, two MLP layers, the attention's two products, and the modulation."""
    return 2 * (tokens * width * (3 + 1 + 4 + 4) * width + 2 * tokens * tokens * width + 6 * width * width)


def test_a_block_of_sit_by_formula() -> None:
    cost = cost_of(meta_sit(size=16, patch=2, channels=3, width=48, depth=5, heads=4, num_classes=10))
    assert cost.blocks == (sit_block(tokens=64, width=48),) * 5
    patches, time = 64 * 3 * 4 * 48, 256 * 48 + 48 * 48
    head = 48 * 2 * 48 + 64 * 48 * 4 * 6
    assert cost.stem == 2 * (patches + time + head)
    assert cost.total == cost.stem + 5 * cost.blocks[0]


@pytest.mark.parametrize("name", SMALL)
def test_total_is_the_counters_total(name: str) -> None:
    network = SMALL[name]()
    cost = cost_of(network)
    x, conditions = torch.zeros(1, *network.latent_shape), network.encode([1])
    assert cost.total == counted(lambda: network.forward(x, 0.5, conditions["cond"]))
    assert len(cost.blocks) == len(network.blocks)
    assert all(flops > 0 for flops in cost.blocks) and cost.stem > 0


def test_an_item_on_meta_costs_what_it_costs_on_the_cpu() -> None:
    sizes = dict(size=8, patch=2, channels=3, width=24, depth=12, heads=2, num_classes=10)
    assert cost_of(meta_sit(**sizes)) == cost_of(SMALL["sit"]())


@pytest.mark.slow("counts FLOPs of every family")
@pytest.mark.parametrize("name", SMALL)
def test_a_blocks_cost_is_what_dropping_it_saves(name: str) -> None:
    network = SMALL[name]()
    cost = cost_of(network)
    x, conditioning = torch.zeros(1, *network.latent_shape), network.encode([1])["cond"]
    for index in range(len(network.blocks)):
        with BlockControl(network.blocks) as control, control.during(Pass(dropped=frozenset({index}))):
            left = counted(lambda: network.forward(x, 0.5, conditioning))
        assert cost.total - left == cost.blocks[index]


@pytest.mark.parametrize("name", SMALL)
def test_a_resumed_pass_does_the_sum_of_its_blocks(name: str) -> None:
    network = SMALL[name]()
    cost, count = cost_of(network), len(network.blocks)
    x, conditioning = torch.zeros(1, *network.latent_shape), network.encode([1])["cond"]
    for mask in ({0}, {2}, {1, 3}, {2, 4, count - 1}):
        with BlockControl(network.blocks) as control:
            with control.during(Pass(record=frozenset({min(mask)}))) as work, torch.no_grad():
                network.forward(x, 0.5, conditioning)
            resumed = Pass(dropped=frozenset(mask), resume=(min(mask), work.kept[min(mask)]))
            with control.during(resumed):
                flops = counted(lambda: network.forward(x, 0.5, conditioning))
        assert flops == cost.stem + sum(cost.blocks[i] for i in range(count) if i > min(mask) and i not in mask)


@pytest.mark.slow("counts FLOPs of every family")
@pytest.mark.parametrize("passes", ["batched", "separate"])
@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", SMALL)
def test_an_accounts_cost_is_what_the_evaluation_does(name: str, reuse: bool, passes: str) -> None:
    """Per item, over two evaluations: a batch of three items does three times as much."""
    network = SMALL[name](passes=passes)
    cost, account = cost_of(network), Account()
    x, conditions = latents(network, batch=3), network.encode([1, 2, 3])
    branches = (COND, UNCOND, Branch("cond", DropBlocks({1, 4})), Branch("uncond", DropBlocks({3})))

    def evaluate() -> None:
        with Evaluator(network, reuse=reuse, account=account) as evaluator:
            evaluator(branches, x, 0.5, conditions)
            evaluator(branches[:1], x, 0.5, conditions)

    assert counted(evaluate) == 3 * cost.of(account)
    saved = cost.blocks[1] + cost.blocks[4] + cost.blocks[3]  # by dropping
    if reuse:  # and by not doing again what comes before
        saved += cost.blocks[0] + sum(cost.blocks[:3])
    assert cost.of(account) == 5 * cost.total - saved


def test_kinds_of_block_are_told_apart() -> None:
    """SD3's dual-attention blocks cost more than the plain ones and the last, which gives up its text, less."""
    blocks = cost_of(SMALL["sd3"]()).blocks
    dual, plain, last = blocks[:3], blocks[3:5], blocks[5]
    assert len(set(dual)) == len(set(plain)) == 1
    image, text, width = 16, TEXT, 16
    # A second attention over the image: its four projections, two products, and three more modulations.
    assert dual[0] - plain[0] == 2 * (4 * image * width**2 + 2 * image**2 * width + 3 * width**2)
    # No text output projection and MLP, and two instead of six modulations.
    assert plain[0] - last == 2 * ((1 + 8) * text * width**2 + 4 * width**2)

    # Flux: two streams with weights of their own, then one with attention and MLP side by side.
    blocks = cost_of(SMALL["flux"]()).blocks
    tokens, width = 12 + TEXT, 32
    attention = 2 * tokens**2 * width
    assert blocks[:3] == (2 * (12 * tokens * width**2 + attention + 2 * 6 * width**2),) * 3
    assert blocks[3:] == (2 * (12 * tokens * width**2 + attention + 3 * width**2),) * 5


@pytest.mark.slow("full-size meta model")
def test_sit_xl_2() -> None:
    """The published size: 118.6 GMACs with attention (the papers' "119 Gflops"), 675,129,632 numbers in 292 tensors."""
    network = meta_sit()
    state = network.network.state_dict()
    assert len(state) == 292
    assert sum(tensor.numel() for tensor in state.values()) == 675_129_632
    cost = cost_of(network)
    assert cost.blocks == (sit_block(tokens=256, width=1152),) * 28
    assert cost.total == 237_242_843_136
    assert round(cost.total / 2e9) == 119

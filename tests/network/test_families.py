"""Every registered family of diffusers on a small random network: what is dropped, what is resumed, what is found out."""

from __future__ import annotations

import ast
import inspect
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.models.base import Conditioning, Output
from s2g.network.architectures import LISTS, blocks_of, register_network
from s2g.network.blocks import RULES, BlockRule, register_block
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks, PassValues
from s2g.network.control import BlockControl, Pass
from s2g.network.evaluate import Evaluator
from s2g.network.reuse_check import VERDICTS, check_points
from tests.diffusers_networks import NETWORKS
from tests.small_networks import SmallDenoiser, all_masks, randomise, sd3, toy

SKIPS = ("HunyuanDiT2DModel",)  # hands blocks more than the state


def first(output: Any) -> Tensor:
    found = output if isinstance(output, Tensor) else output[0]
    return torch.stack(found) if isinstance(found, list) else found


# Blocks whose `return` is no list of their arguments' names.
UNNAMED = {"Flux2SingleTransformerBlock": ("hidden_states",), "CosmosTransformerBlock": ("hidden_states",)}


def returned(kind: type[nn.Module]) -> tuple[str, ...]:
    """The names that a block class's forward returns, read from its source."""
    if kind.__name__ in UNNAMED:
        return UNNAMED[kind.__name__]
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(kind.forward))))
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    assert values and values[-1] is not None
    parts = values[-1].elts if isinstance(values[-1], ast.Tuple) else [values[-1]]
    return tuple(part.id for part in parts if isinstance(part, ast.Name))


def alone(block: nn.Module) -> Callable[..., Any]:
    """A forward that does nothing: it returns its inputs in the order of the `return` of the block's own source."""
    signature, names = inspect.signature(type(block).forward), returned(type(block))

    def forward(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(None, *args, **kwargs).arguments
        values = tuple(given[name] for name in names)
        return values[0] if len(values) == 1 else values

    return forward


class Called(SmallDenoiser):
    """A network whose arguments are those of one call; "cond" is that call, "uncond" the same with its items exchanged."""

    def __init__(self, network: Any, inputs: Mapping[str, Any], blocks: Sequence[nn.Module] | None = None) -> None:
        super().__init__(network, (), (), "separate")
        self.inputs = inputs
        self.found = blocks_of(network) if blocks is None else list(blocks)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return self.found

    def encode(self, prompts: Sequence[int]) -> dict[str, Conditioning]:
        return {"cond": Conditioning({}), "uncond": Conditioning({})}

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        return Output(first(self.network(**self.inputs, return_dict=False)))


def evaluated(denoiser: Called, branches: Sequence[Branch], **more: Any) -> tuple[dict[Branch, Tensor], Evaluator]:
    with Evaluator(denoiser, **more) as evaluator:
        return evaluator(branches, torch.zeros(1), 0.5, denoiser.encode([0])).raw, evaluator


@pytest.fixture(scope="module")
def networks() -> Callable[[str], tuple[Any, dict[str, Any]]]:
    made: dict[str, Any] = {}
    return lambda name: made[name] if name in made else made.setdefault(name, NETWORKS[name]())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_dropped_block_is_one_that_returns_its_inputs(name: str, networks: Callable[[str], tuple[Any, Any]]) -> None:
    network, inputs = networks(name)
    blocks, denoiser = blocks_of(network), Called(*networks(name))
    plain = evaluated(denoiser, [COND])[0][COND]
    for index, block in enumerate(blocks):
        dropped = evaluated(denoiser, [Branch("cond", DropBlocks([index]))])[0]
        block.forward = alone(block)
        with torch.no_grad():
            idle = first(network(**inputs, return_dict=False))
        del block.forward
        assert torch.equal(dropped[Branch("cond", DropBlocks([index]))], idle), index
        assert (idle - plain).abs().max() > 5e-3 * plain.abs().max(), index


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in SKIPS])
def test_reuse_is_exact(name: str, networks: Callable[[str], tuple[Any, Any]]) -> None:
    denoiser = Called(*networks(name))
    count = len(denoiser.blocks)
    pairs = [(count // 3, count - 1), (1, count // 2)]
    masks = [Branch("cond", DropBlocks(mask)) for mask in [*all_masks(count, most=1), *pairs]]
    whole = evaluated(denoiser, [COND, *masks], reuse=False)[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*more than the blocks' state")
        resumed, evaluator = evaluated(denoiser, [COND, *masks], verify=True)
    assert evaluator.reuse and evaluator.account.evaluations == 1 + len(masks) + 3  # three resumed passes are the check
    assert all(torch.equal(resumed[branch], whole[branch]) for branch in whole)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_one_stream_block_of_text_and_image_is_not_edited(name: str, networks: Callable[[str], tuple[Any, Any]]) -> None:
    """Where nothing says which tokens are text, an edit of attention would reach the text, too."""
    denoiser = Called(*networks(name))
    for index, block in enumerate(denoiser.blocks):
        if not RULES["diffusers", type(block).__name__].attention:
            with pytest.raises(UserError, match="where its self-attention is, is not known"):
                evaluated(denoiser, [Branch("cond", PassValues([index], text=True))])


def long_skips(name: str) -> Called:
    if name == "HunyuanDiT2DModel":
        return Called(*NETWORKS[name]())
    settings = {
        "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
        "cross_attention_dim": 24, "attention_head_dim": 4, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    network = randomise(diffusers.UNet2DConditionModel(**settings))
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    inputs = {"sample": noise, "timestep": torch.tensor(500.0), "encoder_hidden_states": torch.ones(2, 5, 24)}
    blocks = [module for module in network.modules() if type(module).__name__ == "BasicTransformerBlock"]
    # Down, up and middle are listed in this order, and run otherwise.
    return Called(network, inputs, [blocks[0], blocks[-1], *blocks[1:-1]])


@pytest.mark.parametrize("name", ["HunyuanDiT2DModel", "UNet2DConditionModel"])
def test_a_network_with_long_skips_is_found_out_once(name: str) -> None:
    denoiser = long_skips(name)
    masks = [Branch("cond", DropBlocks(mask)) for mask in all_masks(len(denoiser.blocks), most=2, first=1)]
    whole = evaluated(denoiser, [COND, *masks], reuse=False)[0]
    wrong = evaluated(denoiser, [COND, *masks])[0]  # without the check
    assert not all(torch.equal(wrong[branch], whole[branch]) for branch in masks)
    with pytest.warns(UserWarning, match="more than the blocks' state goes from block to block"):
        right, evaluator = evaluated(denoiser, [COND, *masks], verify=True)
    assert not evaluator.reuse and all(torch.equal(right[branch], whole[branch]) for branch in whole)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*more than the blocks' state")
        again, evaluator = evaluated(denoiser, [COND, *masks], verify=True)
    assert evaluator.account.evaluations == 1 + len(masks)  # the verdict is kept
    assert all(torch.equal(again[branch], whole[branch]) for branch in whole)


def test_the_check_costs_one_and_a_half_calls() -> None:
    assert [sum(28 - point for point in check_points(28)) / 28, check_points(1), check_points(2)] == [1.5, set(), {1}]
    network = sd3()
    with Evaluator(network, verify=True) as evaluator:
        branches = [COND, UNCOND, Branch("cond", DropBlocks([5]))]
        evaluator(branches, torch.zeros(2, *network.latent_shape), 0.5, network.encode([1, 2]))
    # cond and uncond in one batch, all blocks; the check from blocks 1, 3 and 4 on; one dropped block of the last.
    ran = {0: 2, 1: 4, 2: 4, 3: 6, 4: 8, 5: 8}
    assert evaluator.account.blocks == ran and VERDICTS[network.network]


def test_a_list_in_another_order_is_found_on_the_first_plain_pass() -> None:
    network = toy()
    blocks = network.blocks
    for listed in (list(reversed(blocks)), [*blocks[1:3], blocks[0], *blocks[3:]], blocks[:3] + blocks[4:] + blocks[3:4]):
        denoiser = Called(network.network, {}, listed)
        denoiser.forward = network.forward  # type: ignore[method-assign]
        with Evaluator(denoiser) as evaluator, pytest.raises(UserError, match="the network ran the listed blocks as"):
            evaluator([COND], torch.zeros(1, *network.latent_shape), 0.5, network.encode([1]))


@pytest.mark.parametrize("name", ["SD3Transformer2DModel", "FluxTransformer2DModel", "HunyuanVideoTransformer3DModel"])
def test_swapped_streams_are_found_also_where_their_shapes_are_equal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, inputs = NETWORKS[name]()
    for kind in {type(block) for block in blocks_of(network)}:
        rule = RULES["diffusers", kind.__name__]
        monkeypatch.setitem(RULES, ("diffusers", kind.__name__), BlockRule(rule.state, rule.returns[::-1]))
    with pytest.raises(UserError, match="comes in as"):
        evaluated(Called(network, inputs), [COND])
    tokens = {"SD3Transformer2DModel": 16, "FluxTransformer2DModel": 12, "HunyuanVideoTransformer3DModel": 32}[name]
    longer = {"encoder_hidden_states": torch.randn(2, tokens, 24, generator=torch.Generator().manual_seed(1))}
    longer |= {"txt_ids": torch.zeros(tokens, 3)} if "txt_ids" in inputs else {}
    longer |= {"encoder_attention_mask": torch.ones(2, tokens)} if "encoder_attention_mask" in inputs else {}
    with pytest.raises(UserError, match="the network gives block 1 as"):
        evaluated(Called(network, inputs | longer), [COND])


def test_a_network_of_unknown_blocks_is_refused_with_the_line_to_write() -> None:
    class Own(nn.Module):
        def forward(self, h: Tensor, time: Tensor) -> Tensor:
            return h + time

    class OwnNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([Own(), Own()])
            self.refiner = nn.ModuleList([Own()])

    with pytest.raises(UserError, match="its lists hold layers: Own; refiner: Own") as error:
        blocks_of(OwnNetwork())
    assert "register_block(Block" in str(error.value)
    register_block(Own, ["h"], ["h"])
    try:
        assert len(blocks_of(OwnNetwork())) == 3  # every list of known blocks
        register_network(OwnNetwork, ["layers"])
        assert [type(block) for block in blocks_of(OwnNetwork())] == [Own, Own]
    finally:
        RULES.pop(("tests", "Own"))
        LISTS.pop("OwnNetwork", None)


def test_block_control_by_hand_on_a_network_of_diffusers() -> None:
    network, inputs = NETWORKS["WanTransformer3DModel"]()
    with torch.no_grad(), BlockControl(blocks_of(network)) as control, control.during(Pass(dropped=frozenset({2}))) as work:
        network(**inputs)
    assert work.ran == [0, 1, 3, 4, 5]

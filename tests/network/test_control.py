"""Block control: what a drop computes, that the call slots are given back, and that compiled blocks stay compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.network.blocks import RULES, register_block
from s2g.network.control import SLOT, BlockControl, Pass
from tests.small_networks import SMALL, ToyBlock, all_masks, latents, sd3, toy


def slots(network: Any) -> list[Any]:
    return [getattr(block, SLOT) for block in network.blocks]


@torch.no_grad()
def predict(network: Any, seed: int = 0) -> Tensor:
    """A plain conditional call of two items, as its user would make it."""
    return network.forward(latents(network, seed), 0.7, network.encode([1, 2])["cond"]).prediction


def predict_without(network: Any, mask: tuple[int, ...]) -> Tensor:
    """The same call under control, with blocks dropped."""
    with BlockControl(network.blocks) as control, control.during(Pass(dropped=frozenset(mask))):
        return predict(network)


def shortened(network: Any, mask: tuple[int, ...]) -> Any:
    """The same weights in a network that was built without these blocks."""
    short = copy.copy(network)
    short.network = copy.deepcopy(network.network)
    left = iter([block for index, block in enumerate(short.blocks) if index not in mask])
    sizes = [len(getattr(network.network, name)) for name in getattr(network, "lists", ("blocks",))]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    for name, start, size in zip(getattr(network, "lists", ("blocks",)), starts, sizes, strict=True):
        kept = sum(index not in mask for index in range(start, start + size))
        setattr(short.network, name, nn.ModuleList([next(left) for _ in range(kept)]))
    return short


@pytest.mark.parametrize("name", SMALL)
def test_drop_is_a_network_built_without_the_blocks(name: str) -> None:
    network = SMALL[name]()
    # diffusers' DiT reads block 0's embedding for its head, so a DiT built without block 0 is another network.
    masks = all_masks(len(network.blocks), most=2, first=1 if name == "dit" else 0)
    plain = predict(network)
    for mask in masks:
        dropped = predict_without(network, mask)
        assert torch.equal(dropped, predict(shortened(network, mask))), mask
        assert (dropped - plain).abs().max() > 1e-2, mask


def test_drop_is_the_native_skip_of_sd3() -> None:
    network = sd3()
    inputs = network.inputs(latents(network), 0.7, network.encode([1, 2])["cond"])
    for mask in all_masks(len(network.blocks)):
        with torch.no_grad():
            native = network.network(**inputs, skip_layers=list(mask)).sample
        assert torch.equal(predict_without(network, mask), native), mask


@pytest.mark.parametrize("name", SMALL)
def test_record_and_resume_run_only_the_blocks_that_follow(name: str) -> None:
    network = SMALL[name]()
    count = len(network.blocks)
    mask = frozenset({count // 3, count - 2})
    first = min(mask)
    ran: list[int] = []  # counted by the blocks themselves
    for index, block in enumerate(network.blocks):
        block.register_forward_pre_hook(lambda *_, index=index: ran.append(index))
    with BlockControl(network.blocks) as control:
        with control.during(Pass(record=frozenset({first}))) as plain:
            predict(network)
        assert plain.ran == ran == list(range(count))
        assert set(plain.kept) == {first}
        ran.clear()
        with control.during(Pass(dropped=mask, resume=(first, plain.kept[first]))) as resumed:
            predict(network)
    assert resumed.ran == ran == [index for index in range(first + 1, count) if index not in mask]


class Swapped(ToyBlock):
    """The toy block with its arguments the other way round."""

    def forward(self, z: Tensor, shift: Tensor) -> Tensor:
        return super().forward(shift, z)


def test_each_block_is_dropped_by_the_rule_of_its_own_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2g.network.blocks.RULES", dict(RULES))
    register_block(Swapped, state=["z"], returns=["z"])
    blocks = [ToyBlock(16), Swapped(16)]
    z, shift = torch.zeros(2, 6, 16), torch.ones(2, 1, 16)
    with BlockControl(blocks) as control, control.during(Pass(dropped=frozenset({0, 1}))):
        assert blocks[0](shift, z) is z
        assert blocks[1](z, shift) is z


def test_blocks_run_as_ever_between_passes_and_afterwards() -> None:
    network = toy()
    before, plain = slots(network), predict(network)
    with BlockControl(network.blocks) as control:
        with control.during(Pass(dropped=frozenset({3}))):
            assert not torch.equal(predict(network), plain)
        assert torch.equal(predict(network), plain)
        assert slots(network) != before
    assert slots(network) == before == [None] * len(network.blocks)
    assert torch.equal(predict(network), plain)


def test_slots_are_given_back_after_an_error_inside_a_block() -> None:
    network = toy()

    def fail(*_: Any) -> None:
        raise ArithmeticError("inside block 4")

    handle = network.blocks[4].register_forward_hook(fail)
    control = BlockControl(network.blocks)
    with pytest.raises(ArithmeticError), control, control.during(Pass(dropped=frozenset({1}))):
        predict(network)
    assert slots(network) == [None] * len(network.blocks)
    assert control.current is None
    handle.remove()
    with control, control.during(Pass(dropped=frozenset({4}))) as work:  # and the control can be used again
        predict(network)
    assert work.ran == [0, 1, 2, 3, 5, 6, 7]


def test_entering_twice_is_refused_and_harmless() -> None:
    network = toy()
    control = BlockControl(network.blocks)
    with control:
        with pytest.raises(RuntimeError, match="already in place"):
            control.__enter__()
        with control.during(Pass(dropped=frozenset({2}))) as work:
            predict(network)
        assert 2 not in work.ran
    assert slots(network) == [None] * len(network.blocks)


def test_a_pass_needs_the_control_in_place() -> None:
    control = BlockControl(toy().blocks)
    with pytest.raises(RuntimeError, match="with BlockControl"), control.during(Pass()):
        pass


def test_a_block_compiled_under_control_is_noticed() -> None:
    """compile() takes the slot; unnoticed, every mask would from then on be ignored."""
    network = toy()
    with BlockControl(network.blocks) as control:
        network.blocks[5].compile(backend="eager")
        with pytest.raises(RuntimeError, match=r"blocks \[5\] were replaced"), control.during(Pass(dropped=frozenset({5}))):
            pass


@pytest.mark.parametrize("when", ["under control", "afterwards"])
def test_deepcopy_is_a_free_network(when: str) -> None:
    network = toy()
    plain = predict(network)
    twin = copy.copy(network)
    with BlockControl(network.blocks) as control, control.during(Pass(dropped=frozenset({3}))):
        predict(network)
        if when == "under control":
            twin.network = copy.deepcopy(network.network)
    if when == "afterwards":
        twin.network = copy.deepcopy(network.network)
    with torch.no_grad():
        for parameter in network.network.parameters():
            parameter.zero_()  # nothing of the original may be left in the copy
    assert torch.equal(predict(twin), plain)
    with BlockControl(twin.blocks) as control, control.during(Pass(dropped=frozenset({3}))) as work:
        assert not torch.equal(predict(twin), plain)
    assert work.ran == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("mask", [{8}, {2, 11}, {-1}])
def test_a_mask_that_names_a_missing_block(mask: set[int]) -> None:
    network = toy()
    missing = sorted(index for index in mask if not 0 <= index < 8)
    with BlockControl(network.blocks) as control:
        for work in (Pass(dropped=frozenset(mask)), Pass(record=frozenset(mask))):
            with pytest.raises(UserError) as refused, control.during(work):
                pass
            assert str(sorted(mask)) in str(refused.value)
            assert f"names {missing}" in str(refused.value)
            assert "allowed: 0 to 7" in str(refused.value)


def test_a_mask_that_names_a_protected_block() -> None:
    network = toy()
    with BlockControl(network.blocks, protect=(0, 2)) as control:
        with (
            pytest.raises(UserError, match=r"mask \[1, 2\] names \[2\], which is protected"),
            control.during(Pass(frozenset({1, 2}))),
        ):
            pass
        with control.during(Pass(dropped=frozenset({1}))):
            pass


def test_a_network_without_blocks() -> None:
    with pytest.raises(UserError, match="no residual block"):
        BlockControl([])


@pytest.fixture
def graphs() -> Iterator[list[Callable[..., Any]]]:
    """A clean compiler before and after, and the list of graphs it is to fill."""
    torch._dynamo.reset()
    yield []
    torch._dynamo.reset()


@pytest.mark.slow("compiles")
@pytest.mark.parametrize("name", ["toy", "sit", "sd3", "flux", "wan"])
def test_compiled_blocks_are_not_compiled_again_for_a_mask(name: str, graphs: list[Callable[..., Any]]) -> None:
    network = SMALL[name]()
    masks = all_masks(len(network.blocks))[::7]
    plain, eager = predict(network), [predict_without(network, mask) for mask in masks]

    calls = [0]

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            calls[0] += 1
            return graph.forward(*args)

        graphs.append(run)
        return run

    for block in network.blocks:
        block.compile(backend=backend)
    before = slots(network)
    assert torch.equal(predict(network), plain)
    count = len(graphs)
    # As many as there are kinds of block: SD3's dual, plain and last one; Flux's double one, and its single one twice,
    # since the first of them is given whole tensors and the others slices.
    assert count == {"sd3": 3, "flux": 3}.get(name, 1)

    for mask, expected in zip(masks, eager, strict=True):
        first = min(mask)
        with BlockControl(network.blocks) as control:
            with control.during(Pass(record=frozenset({first}))) as work:
                assert torch.equal(predict(network), plain)
            with control.during(Pass(dropped=frozenset(mask))):
                assert torch.equal(predict(network), expected)
            calls[0] = 0
            with control.during(Pass(dropped=frozenset(mask), resume=(first, work.kept[first]))) as resumed:
                assert torch.equal(predict(network), expected)
            assert calls[0] == len(resumed.ran)  # what ran was the compiled code
    assert len(graphs) == count
    assert slots(network) == before  # still compiled

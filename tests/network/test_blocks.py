"""What a block takes and returns: the rule of every known class against the class itself, and the refusal of others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.models.attention import BasicTransformerBlock, JointTransformerBlock
from diffusers.models.transformers.transformer_flux import FluxSingleTransformerBlock, FluxTransformerBlock
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.models.sit import SiTBlock
from s2g.network.blocks import RULES, BlockPort, register_block
from s2g.network.control import BlockControl
from tests.small_networks import SMALL, latents

KNOWN = [
    SiTBlock, JointTransformerBlock, FluxTransformerBlock, FluxSingleTransformerBlock, WanTransformerBlock,
    BasicTransformerBlock,
]  # fmt: skip


class Stranger(nn.Module):
    """A block class nobody registered."""

    def forward(self, tokens: Tensor, mask: Tensor, *, memory: Tensor) -> tuple[Tensor, Tensor]:
        return memory, tokens


@pytest.mark.parametrize("kind", KNOWN)
def test_rules_name_arguments_of_the_class(kind: type[nn.Module]) -> None:
    rule = RULES[kind.__module__.split(".")[0], kind.__name__]
    assert set(rule.state) <= set(inspect.signature(kind.forward).parameters)


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_output_is_that_of_a_block_that_adds_nothing(make: Callable[..., Any]) -> None:
    """With all its weights zero a block adds nothing: it returns just what a dropped block is said to return."""
    network = make()
    with torch.no_grad():
        for block in network.blocks:
            for parameter in block.parameters():
                parameter.zero_()
    seen = []

    def compare(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> None:
        port = BlockPort(block)
        seen.append((block, returned, port.output(port.read(args, kwargs))))

    for block in network.blocks:
        block.register_forward_hook(compare, with_kwargs=True)
    with torch.no_grad():
        network.forward(latents(network), 0.5, network.encode([1, 2])["cond"])

    assert len(seen) == len(network.blocks)
    for block, returned, said in seen:
        returned, said = (value if isinstance(value, tuple) else (value,) for value in (returned, said))
        assert len(returned) == len(said)
        for real, ours in zip(returned, said, strict=True):
            if real is None:
                assert block.context_pre_only  # SD3's last block gives up the text stream, which nobody reads any more
            else:
                assert torch.equal(real, ours)


def test_state_is_read_and_written_where_the_call_has_it() -> None:
    block = next(b for b in SMALL["sd3"]().blocks)
    port = BlockPort(block)
    image, text, new_image, new_text, time = (torch.full((1,), float(i)) for i in range(5))

    assert port.read((image,), {"encoder_hidden_states": text, "temb": time}) == (image, text)
    args, kwargs = port.write((new_image, new_text), (image,), {"encoder_hidden_states": text, "temb": time})
    assert args == (new_image,)
    assert kwargs == {"encoder_hidden_states": new_text, "temb": time}

    assert port.read((image, text, time), {}) == (image, text)
    assert port.write((new_image, new_text), (image, text, time), {}) == ((new_image, new_text, time), {})
    assert port.output((image, text)) == (text, image)


def test_writing_leaves_the_given_arguments_alone() -> None:
    port = BlockPort(SiTBlock(8, 2))
    old, new, c = torch.zeros(1), torch.ones(1), torch.ones(2)
    kwargs = {"x": old, "c": c}
    assert port.write((new,), (), kwargs) == ((), {"x": new, "c": c})
    assert kwargs["x"] is old


def test_unknown_class_is_refused_with_the_line_to_write() -> None:
    with pytest.raises(UserError) as refused:
        BlockControl([Stranger()])
    said = str(refused.value)
    assert "test_blocks.Stranger" in said
    assert "tokens, mask, memory" in said and "self" not in said
    assert "s2g.network.blocks.register_block(Stranger, state=[...], returns=[...])" in said
    assert "JointTransformerBlock" in said  # the known ones


def test_a_class_of_a_known_name_from_elsewhere_is_unknown() -> None:
    """Same name, other package: its forward may be another one, so the rule is not guessed."""
    elsewhere = type("WanTransformerBlock", (Stranger,), {"__module__": "other.models"})
    with pytest.raises(UserError, match=r"other\.models\.WanTransformerBlock is not known"):
        BlockPort(elsewhere())


def test_register_makes_a_class_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2g.network.blocks.RULES", dict(RULES))
    register_block(Stranger, state=["tokens", "memory"], returns=["memory", "tokens"])
    port = BlockPort(Stranger())
    tokens, mask, memory = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    assert port.read((tokens, mask), {"memory": memory}) == (tokens, memory)
    assert port.output((tokens, memory)) == (memory, tokens)


@pytest.mark.parametrize("returns", [["tokens"], ["tokens", "mask"], ["tokens", "memory", "memory"]])
def test_register_refuses_returns_that_are_not_the_state(returns: list[str]) -> None:
    with pytest.raises(UserError, match="Stranger"):
        register_block(Stranger, state=["tokens", "memory"], returns=returns)


def test_register_refuses_names_that_forward_does_not_take() -> None:
    with pytest.raises(UserError, match=r"does not take.*\n.*tokens, mask, memory"):
        register_block(Stranger, state=["token"], returns=["token"])


def test_halves_share_all_but_the_text_however_a_call_passes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Modulated(nn.Module):
        def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor, extra: Any = None, temb: Any = None) -> Any:
            return encoder_hidden_states, hidden_states

    monkeypatch.setattr("s2g.network.blocks.RULES", dict(RULES))
    state = ["hidden_states", "encoder_hidden_states"]
    register_block(Modulated, state=state, returns=state[::-1])
    port, image, text, temb = (
        BlockPort(Modulated()),
        torch.tensor([1.0, 2.0]),
        torch.tensor([3.0, 4.0]),
        torch.tensor([5.0, 6.0]),
    )

    def tied(*args: Any, **kwargs: Any) -> list[Any]:
        positional, named = port.tied(args, kwargs)
        return [value.tolist() if isinstance(value, Tensor) else value for value in (*positional, *named.values())]

    assert tied(image, text) == [[1, 1], [3, 4]]  # without the two that may be left out
    assert tied(image, text, None) == [[1, 1], [3, 4], None]
    assert tied(image, text, None, temb) == [[1, 1], [3, 4], None, [5, 5]]
    assert tied(image, encoder_hidden_states=text, temb=temb) == [[1, 1], [3, 4], [5, 5]]
    assert tied(image, text, temb=None) == [[1, 1], [3, 4], None]

"""What a block takes and returns: one line per block class, never guessed.

`state` names the arguments that carry the residual state; `returns` names them in the order in which they come back.
A dropped block returns its state unchanged, in that order: SD3's joint block takes (hidden, encoder) and returns
(encoder, hidden), and a wrong order does not always fail, it can be silently wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from s2g.errors import UserError

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class SelfAttention:
    """A self-attention of a block that holds the image's tokens: where it is, and where text and queries are in it."""

    name: str  # of the module; a block that has none of this name, or None there, simply lacks it
    text: str = "none"  # "none", or on which side of the image's tokens the text's lie: "first", "last"
    queries: tuple[tuple[str, int], ...] = (("norm_q", 2), ("to_q", 1))  # modules that put out queries, and their token axis


@dataclass(frozen=True)
class BlockRule:
    """The residual state of one block class, by argument name; and its self-attention, if it can be edited."""

    state: tuple[str, ...]
    returns: tuple[str, ...]
    attention: tuple[SelfAttention, ...] = ()
    cross: str = ""  # the module of its cross-attention to the text, if it has one


BOTH = ("hidden_states", "encoder_hidden_states")
REVERSED = ("encoder_hidden_states", "hidden_states")
TEXT = ("encoder_hidden_states",)  # the part of a state that is the text's

FLUX = (SelfAttention("attn", "first", queries=(("norm_q", 1),)),)

# (root package, class name) -> rule
RULES: dict[tuple[str, str], BlockRule] = {
    ("s2g", "SiTBlock"): BlockRule(("x",), ("x",), (SelfAttention("attn", queries=(("q_norm", 2),)),)),
    ("s2g", "ToyBlock"): BlockRule(("x",), ("x",)),
    ("s2g", "Posterior"): BlockRule(("x",), ("x",)),
    # SD3.5-medium has a second attention, over the image alone, in its first blocks.
    ("diffusers", "JointTransformerBlock"): BlockRule(BOTH, REVERSED, (SelfAttention("attn", "last"), SelfAttention("attn2"))),
    ("diffusers", "FluxTransformerBlock"): BlockRule(BOTH, REVERSED, FLUX),
    ("diffusers", "FluxSingleTransformerBlock"): BlockRule(BOTH, REVERSED, FLUX),
    # attn2 is cross-attention to the text in both.
    ("diffusers", "WanTransformerBlock"): BlockRule(
        ("hidden_states",), ("hidden_states",), (SelfAttention("attn1", queries=(("norm_q", 1), ("to_q", 1))),), cross="attn2"
    ),
    ("diffusers", "BasicTransformerBlock"): BlockRule(("hidden_states",), ("hidden_states",), (SelfAttention("attn1"),)),
}

# Further blocks of diffusers. Without a line for their attention they can be dropped, and not be edited: where a block holds
# text and image in one sequence, how many tokens are text is not to be seen from the block.
ONE_STREAM = (
    "AllegroTransformerBlock",
    "AuraFlowSingleTransformerBlock",
    "ChromaSingleTransformerBlock",
    "CosmosTransformerBlock",
    "Flux2SingleTransformerBlock",
    "HunyuanDiTBlock",
    "LTXVideoTransformerBlock",
    "Lumina2TransformerBlock",
    "PRXBlock",
    "SanaTransformerBlock",
    "SanaVideoTransformerBlock",
    "SkyReelsV2TransformerBlock",
    "StableAudioDiTBlock",
)
HIDDEN_FIRST = (
    "CogVideoXBlock",
    "CogView3PlusTransformerBlock",
    "CogView4TransformerBlock",
    "EasyAnimateTransformerBlock",
    "HunyuanImageSingleTransformerBlock",
    "HunyuanImageTransformerBlock",
    "HunyuanVideoSingleTransformerBlock",
    "HunyuanVideoTransformerBlock",
    "MochiTransformerBlock",
)
TEXT_FIRST = (
    "AuraFlowJointTransformerBlock",
    "BriaSingleTransformerBlock",
    "BriaTransformerBlock",
    "ChromaTransformerBlock",
    "Flux2TransformerBlock",
    "LongCatImageSingleTransformerBlock",
    "LongCatImageTransformerBlock",
    "OvisImageSingleTransformerBlock",
    "OvisImageTransformerBlock",
    "QwenImageTransformerBlock",
)
RULES |= {("diffusers", name): BlockRule(BOTH[:1], BOTH[:1]) for name in ONE_STREAM}
RULES |= {("diffusers", name): BlockRule(BOTH, BOTH) for name in HIDDEN_FIRST}
RULES |= {("diffusers", name): BlockRule(BOTH, REVERSED) for name in TEXT_FIRST}
AUDIO = ("hidden_states", "audio_hidden_states")
RULES |= {
    ("diffusers", "ZImageTransformerBlock"): BlockRule(("x",), ("x",)),
    ("diffusers", "LTX2VideoTransformerBlock"): BlockRule(AUDIO, AUDIO),
    ("diffusers", "Kandinsky5TransformerDecoderBlock"): BlockRule(("visual_embed",), ("visual_embed",)),
}


def register_block(
    block: type[nn.Module],
    state: Sequence[str],
    returns: Sequence[str],
    attention: Sequence[SelfAttention] = (),
    cross: str = "",
) -> None:
    """Make a block class known: the argument names of its residual state, their order in what it returns, its attention.

    cross: the name of its cross-attention to the text.
    """
    arguments = _arguments(block)
    if not set(state) <= set(arguments):
        raise UserError(f"{block.__name__}: its forward does not take {list(state)}", allowed=", ".join(arguments))
    if sorted(state) != sorted(returns):
        raise UserError(f"{block.__name__}: returns {list(returns)} are not the state {list(state)} in another order")
    RULES[_name(block)] = BlockRule(tuple(state), tuple(returns), tuple(attention), cross)


def is_known(block: nn.Module) -> bool:
    """Whether a block's class is registered."""
    return _name(type(block)) in RULES


def _arguments(block: type[nn.Module]) -> list[str]:
    return [name for name in inspect.signature(block.forward).parameters if name != "self"]


def _name(block: type[nn.Module]) -> tuple[str, str]:
    return block.__module__.split(".")[0], block.__name__


class BlockPort:
    """Reads and writes the residual state in the arguments of one block's call."""

    def __init__(self, block: nn.Module) -> None:
        self.kind = kind = type(block)
        rule = RULES.get(_name(kind))
        parameters = _arguments(kind)
        if rule is None:
            where = f"{kind.__module__}.{kind.__qualname__}"
            raise UserError(
                f"block class {where} is not known; its forward takes {', '.join(parameters)}",
                allowed=", ".join(sorted(name for _, name in RULES)),
                todo=f"s2g.network.blocks.register_block({kind.__name__}, state=[...], returns=[...]), naming the "
                "arguments that carry the residual state, and their order in what it returns",
            )
        self.places = [(name, parameters.index(name)) for name in rule.state]
        self.order = [rule.state.index(name) for name in rule.returns]
        self.rule = rule
        # What two halves of a batch share that differ in their text alone: the image's tokens, and what modulates them.
        self.shared = [(p, i) for i, p in enumerate(parameters) if p == "temb" or (p in rule.state and p not in TEXT)]

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> State:
        """Return the state a call brings in."""
        return tuple(kwargs[name] if name in kwargs else args[place] for name, place in self.places)

    def text_tokens(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Return how many text tokens the state holds beside the image's."""
        state = dict(zip(self.rule.state, self.read(args, kwargs), strict=True))
        return state["encoder_hidden_states"].shape[1] if "encoder_hidden_states" in state else 0

    def write(self, state: State, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call with its state replaced."""
        positional, named = list(args), dict(kwargs)
        for (name, place), tensor in zip(self.places, state, strict=True):
            if name in named:
                named[name] = tensor
            else:
                positional[place] = tensor
        return tuple(positional), named

    def tied(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call with all but the text of the batch's second half as in its first half."""
        positional, named = list(args), dict(kwargs)
        for name, place in self.shared:
            holder, key = (named, name) if name in named else (positional, place)
            if isinstance(key, int) and key >= len(positional):
                continue
            tensor = holder[key]  # type: ignore[index]
            if isinstance(tensor, Tensor):
                holder[key] = torch.cat([tensor.chunk(2)[0]] * 2)  # type: ignore[index]
        return tuple(positional), named

    def output(self, state: State) -> Any:
        """Return what the block would return if it did nothing."""
        return state[0] if len(state) == 1 else tuple(state[i] for i in self.order)

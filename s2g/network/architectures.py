"""Where the residual blocks of a network are: in which of its lists, and in which order they run."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from s2g.errors import UserError
from s2g.network.blocks import is_known

# Networks whose lists cannot be taken as they stand: some hold blocks beside the main stack (of a text, of the input), and
# some take turns. A line is the lists in the order in which they run; lists within one tuple take turns, block by block.
LISTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "LatteTransformer3DModel": (("transformer_blocks", "temporal_transformer_blocks"),),
    "Lumina2Transformer2DModel": (("layers",),),
    "ZImageTransformer2DModel": (("layers",),),
}


def register_network(network: type[nn.Module], lists: Sequence[str]) -> None:
    """Make known which lists of a network class hold its residual blocks, in the order in which they run."""
    LISTS[network.__name__] = tuple((name,) for name in lists)


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Return a network's residual blocks in execution order: those of its lists whose every member is of a known class.

    The first plain pass under control holds the order against what runs. UserError where there is no such list.
    """
    kind = type(network).__name__
    if kind in LISTS:
        return [
            block for names in LISTS[kind] for turn in zip(*(getattr(network, n) for n in names), strict=True) for block in turn
        ]
    lists = {name: child for name, child in network.named_children() if isinstance(child, nn.ModuleList) and len(child)}
    known = [child for child in lists.values() if all(is_known(block) for block in child)]
    if known:
        return [block for child in known for block in child]
    seen = {name: sorted({type(block).__name__ for block in child}) for name, child in lists.items()}
    raise UserError(
        f"{kind}: no list of blocks that are known; its lists hold "
        + ("; ".join(f"{name}: {', '.join(kinds)}" for name, kinds in seen.items()) or "nothing"),
        todo="s2g.register_block(Block, state=[...], returns=[...]), naming the arguments that carry the residual state, and "
        "their order in what it returns",
    )

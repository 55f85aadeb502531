"""FLOPs of a forward pass, counted once per model on the meta device: the stem and each block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from s2g.network.evaluate import Account


@dataclass(frozen=True)
class PassCost:
    """FLOPs of one item (2 per multiply-accumulate, attention included): the stem (all but the blocks) and each block."""

    stem: int
    blocks: tuple[int, ...]

    @property
    def total(self) -> int:
        """FLOPs of a full forward pass."""
        return self.stem + sum(self.blocks)

    def of(self, account: Account) -> int:
        """Return the FLOPs per item of the passes in an account."""
        return account.evaluations * self.stem + sum(self.blocks[index] * times for index, times in account.blocks.items())


def multiply_accumulates(network: nn.Module, call: Callable[[], object]) -> int:
    """Return what fvcore counts of `call()`, which the paper prints as TFLOPs.

    That is the products of linear layers and convolutions, and 4 per element of a layer norm (5 with weights); fvcore omits
    attention.
    """
    found = 0

    def count(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
        nonlocal found
        if isinstance(module, nn.Linear):
            found += out.numel() * module.in_features
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            found += out.numel() * module.weight[0].numel()
        elif isinstance(module, nn.LayerNorm):
            found += out.numel() * (5 if module.elementwise_affine else 4)

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def measure(network: nn.Module, blocks: Sequence[nn.Module], call: Callable[[], object]) -> PassCost:
    """Return the FLOPs of `call()`, a forward pass of one item, by block."""
    names = {id(module): name for name, module in network.named_modules()}
    called: set[int] = set()
    hooks = [block.register_forward_pre_hook(lambda module, _: called.add(id(module))) for block in blocks]
    try:
        with FlopCounterMode(display=False) as counter:
            call()
    finally:
        for hook in hooks:
            hook.remove()
    counts = counter.get_flop_counts()
    root = type(network).__name__
    unseen = [names[id(block)] for block in blocks if id(block) not in called]
    if unseen:
        raise RuntimeError(f"the forward pass of {root} did not call {unseen[0]} as a module: its FLOPs cannot be told apart")
    # Elementwise operations have no entry: they count as nothing.
    per_block = tuple(sum(counts.get(f"{root}.{names[id(block)]}", {}).values()) for block in blocks)
    return PassCost(counter.get_total_flops() - sum(per_block), per_block)

"""FLOPs of a pass, counted once per model on its meta twin: the stem, and each block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from s2g.network.evaluate import Account


@dataclass(frozen=True)
class PassCost:
    """FLOPs (2 per multiply-accumulate, attention included) for one item: everything but the blocks, and each block."""

    stem: int
    blocks: tuple[int, ...]

    @property
    def total(self) -> int:
        """A full forward pass."""
        return self.stem + sum(self.blocks)

    def of(self, account: Account) -> int:
        """FLOPs per item of what an account lists."""
        return account.evaluations * self.stem + sum(self.blocks[index] * times for index, times in account.blocks.items())


def measure(network: nn.Module, blocks: Sequence[nn.Module], call: Callable[[], object]) -> PassCost:
    """Count `call()`, a forward pass of one item, by block."""
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
    # What is elementwise alone has no entry: it counts as nothing.
    per_block = tuple(sum(counts.get(f"{root}.{names[id(block)]}", {}).values()) for block in blocks)
    return PassCost(counter.get_total_flops() - sum(per_block), per_block)

"""FLOPs of a forward pass, counted once per model on the meta device: the stem and each block.

A user's own network may not run there; its FLOPs are then not counted, which is nan here and null in what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.meta_models import meta_model
from s2g.network.evaluate import Account


@dataclass(frozen=True)
class PassCost:
    """FLOPs of one item (2 per multiply-accumulate, attention included): the stem (all but the blocks) and each block."""

    stem: float
    blocks: tuple[float, ...]
    uncounted: str = ""  # why they are not counted, and all of them are nan; "" if they are

    @property
    def total(self) -> float:
        """FLOPs of a full forward pass."""
        return self.stem + sum(self.blocks)

    def of(self, account: Account) -> float:
        """Return the FLOPs per item of the passes in an account."""
        if self.uncounted:
            return math.nan
        return account.evaluations * self.stem + sum(self.blocks[index] * times for index, times in account.blocks.items())


def full_pass(model: ModelConfig) -> PassCost:
    """Return the FLOPs of a forward pass by block, of the network that its folder, or else the configuration, describes.

    UserError if the network has other than the stated number of blocks. What goes wrong in a network of the user's own says
    why its FLOPs are not counted.
    """
    try:
        network = meta_model(model.as_found())
        with torch.no_grad():
            cost = measure(network.network, network.blocks, network.call)
    except UserError:
        raise
    except Exception as error:  # whatever somebody else's code raises on a network without numbers
        if not model.traits.own:
            raise
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        return PassCost(math.nan, (), why)
    check_blocks(model, len(cost.blocks))
    return cost


def check_blocks(model: ModelConfig, found: int) -> None:
    """Raise UserError if a model has other than the stated number of blocks; a weaker network states none."""
    if model.blocks and found != model.blocks:
        raise UserError(f"model.blocks = {model.blocks}: {model.name} has {found}", todo="correct the model's configuration")


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

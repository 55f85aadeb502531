"""Whether prefix reuse holds for a network: a pass resumed in the middle, with nothing edited, must be the plain pass.

It does where the state that is registered is all that goes from block to block. A network with long skips (HunyuanDiT, any
U-Net) hands on more, and a resumed pass would be silently wrong there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from s2g.network.blocks import State

# What has been found once holds for as long as the network lives.
VERDICTS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
TOLERANCE = (
    1e-3  # of the largest value; the same kernels run on the same batch, so it is 0 but for kernels that add in any order
)


def check_points(num_blocks: int) -> frozenset[int]:
    """Return the blocks at which a pass is resumed: the quarters. Together they cost one and a half calls of the network."""
    return frozenset({num_blocks // 4, num_blocks // 2, 3 * num_blocks // 4} - {0})


def holds(network: nn.Module, plain: Tensor, kept: Mapping[int, State], resumed: Callable[[int, State], Tensor]) -> bool:
    """Return whether resuming at each kept state gives the plain prediction; say once if it does not.

    resumed: (block, state) to the prediction of a pass that goes on from there. It waits for the device.
    """
    bound = TOLERANCE * float(plain.abs().max())
    errors = {block: float((resumed(block, state) - plain).abs().max()) for block, state in sorted(kept.items())}
    VERDICTS[network] = all(error <= bound for error in errors.values())  # false for nan, too
    if not VERDICTS[network]:
        worst = max(errors, key=lambda block: errors[block])
        why = (
            "it is in training mode, where every pass drops something else: call .eval()"
            if network.training
            else "more than the blocks' state goes from block to block"
        )
        warnings.warn(
            f"{type(network).__name__}: {why} (a pass resumed at block {worst} is off by {errors[worst]:.2g}); "
            "edited passes are made whole, which is right and takes longer",
            stacklevel=2,
        )
    return VERDICTS[network]

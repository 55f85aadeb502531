"""Upper bounds of the numbers that users type: beyond them a run would hang, run out of memory or overflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from s2g.errors import UserError

LARGEST_INT = 10**12  # of a number without a bound of its own
LARGEST_FLOAT = 1e9
GROUPS = ("model", "guidance", "sampler", "bench", "executor", "logger")  # nested numbers elsewhere are read from our own files
LARGEST: dict[str, int] = {
    "num": 10**9,
    "bench.num": 10**9,
    "seed": 2**64 - 1,
    "mask_seed": 2**64 - 1,
    "bench.seed": 2**64 - 1,
    "bench.label_seed": 2**64 - 1,
    "sampler.steps": 10_000,
    "executor.workers": 1024,
    "model.unit": 65_536,
    "model.blocks": 1000,
    "model.resolution": 65_536,
    "model.height": 65_536,
    "model.width": 65_536,
    "model.frames": 100_000,
    "model.fps": 1000,
    "guidance.masks": 1024,
}
DEPTHS = ("depth", "num_layers", "num_single_layers")
LARGEST_DEPTH = 1000  # blocks of a network
LARGEST_OF_NETWORK = 10**6  # any other number of its configuration
LARGEST_WEIGHT = 1000  # guidance.scale, guidance.omega and the like; fp32 overflows far above


def check_range(value: float, key: str) -> None:
    """Raise UserError if the size of a typed number is beyond the bound of its key; its lower bound is its class's business."""
    largest = _largest(key, isinstance(value, int))
    if abs(value) > largest:
        shown = str(value) if not isinstance(value, int) or abs(value) < 10**30 else "a number of more than 30 digits"
        words = "2^64 - 1" if largest == 2**64 - 1 else f"{largest:,.0f}"
        raise UserError(f"{key} = {shown}", allowed=f"at most {words}" if value > 0 else f"at least -{words}")


def check_network(network: Mapping[str, Any], key: str) -> None:
    """Raise UserError if a number of a network's configuration is beyond its bound."""
    for name, value in network.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int | float) and not isinstance(number, bool):
                check_range(number, f"{key}.{name}")


def _largest(key: str, whole: bool) -> float:
    key = key.replace("guidance.base_args.", "guidance.")
    if key in LARGEST:
        return LARGEST[key]
    group, _, name = key.partition(".")
    if name and group not in GROUPS:
        return math.inf
    if name.startswith(("network.", "weak_network.")):
        return LARGEST_DEPTH if name.rpartition(".")[2] in DEPTHS else LARGEST_OF_NETWORK
    if group == "guidance" and (name in ("scale", "omega") or name.endswith("_scale")):
        return LARGEST_WEIGHT
    return LARGEST_INT if whole else LARGEST_FLOAT

"""Equal strength and equal cost: what CFG has to be given so that a method is compared with its like."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from s2g.config.coerce import only
from s2g.errors import UserError

MATCHES = ("nfe", "flops", "scale")


def check_match(match: Mapping[str, Any], key: str, guidance: str) -> None:
    """Raise UserError unless `match` is one of the following.

    {nfe: ROW} or {flops: ROW}: as many steps as cost what that row costs. {scale: ROW}: CFG at that row's effective scale;
    {scale: ROW, by: KNOB, between: [LOW, HIGH]}: any method, with the knob that gives it that scale.
    """
    only({*MATCHES, "by", "between"}, match, key)
    if match and sum(kind in match for kind in MATCHES) != 1:
        raise UserError(f"{key} = {dict(match)}", allowed="one of nfe, flops, scale, naming a row")
    if "scale" in match and guidance != "cfg" and not {"by", "between"} <= set(match):
        raise UserError(
            f"{key} = {dict(match)}: only CFG's effective scale is its scale",
            todo="name the knob and where to seek: {scale: ROW, by: KNOB, between: [LOW, HIGH]}",
        )


def steps_of_equal_cost(method: float, other: float, steps: int) -> int:
    """match: nfe, match: flops. Steps with which `other` (which takes `steps` now) costs what `method` costs per item.

    nfe counts network evaluations, an edited pass as a full one however little of it is computed: the paper's
    "CFG 1.4 x NFE". flops counts what was spent, with prefix reuse.
    """
    return max(1, math.floor(steps * method / other + 0.5))


def brought_to(target: float, measure: Callable[[float], float], low: float, high: float, tolerance: float = 0.01) -> float:
    """match: scale. The value of a knob, by bisection, at which `measure` (an effective scale) is within tolerance of target.

    `measure` must rise with the knob; UserError if the target lies outside what low and high give, or it does not rise.
    """
    at_low, at_high = measure(low), measure(high)
    if not at_low <= target <= at_high:
        raise UserError(
            f"effective scale {target:g}: between {low:g} and {high:g} the knob gives {at_low:.3g} to {at_high:.3g}",
            todo="give a wider range",
        )
    while True:
        middle = (low + high) / 2
        found = measure(middle)
        if abs(found - target) <= tolerance:
            return round(middle, 4)
        if high - low < 1e-4:
            raise UserError(f"effective scale {target:g}: it jumps at {middle:.4g}, from {found:.3g}")
        low, high = (middle, high) if found < target else (low, middle)

"""How numbers are written: intervals, FLOPs, effective scales, costs, and the headings above them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from s2g.engine.bench import Metric
from s2g.engine.run import Run
from s2g.metrics.balanced import turns
from s2g.metrics.statistics import FEWEST_UNITS, Estimate
from s2g.scoring.score import Cost, Effective, units_of

SYMMETRIC = 0.1  # of half an interval: how far its middle may lie from the value and "±" still be true
INTERVALS = "± is the half-width of a 95 % confidence interval"
BRACKETS = "given by its ends where it is not symmetric"
NOT_COUNTED = "not counted"  # FLOPs of a user's own network that cannot run on the meta device


def with_interval(estimate: Estimate, digits: int, sign: bool = False) -> str:
    """Return a value with half its 95 % interval, "84.4±3.1"; without one the value alone; a dash for NaN.

    An interval that is not symmetric is given by its ends: "96.9 [89.0, 99.4]".
    """
    if math.isnan(estimate.value):
        return "–"
    value = f"{estimate.value:{'+' if sign else ''}.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    half, middle = (estimate.high - estimate.low) / 2, (estimate.high + estimate.low) / 2
    if abs(middle - estimate.value) > max(10.0**-digits, SYMMETRIC * half):
        low, high = (f"{end:{'+' if sign else ''}.{digits}f}" for end in (estimate.low, estimate.high))
        return f"{value} [{low}, {high}]"
    return f"{value}±{half:.{digits}f}"


def interval_note(run: Run) -> str:
    """Return what the intervals of a run's scores are over, or what it takes to have any."""
    unit_of, cycle = units_of(run)
    clustered = run.bench.clusters(run.num) is not None
    count, parts = len(np.unique(unit_of)), "prompts" if clustered else "units"
    if count < FEWEST_UNITS:
        enough = f"{FEWEST_UNITS} prompts" if clustered else f"num={FEWEST_UNITS * run.model.unit}"
        return f"n too small for intervals: {enough} or more"
    apart = " within classes" if turns(unit_of, cycle) else ""
    return f"{INTERVALS} over {count} {parts}{apart}, {BRACKETS}"


def with_arrow(label: str, higher: bool | None) -> str:
    """Return a label with an arrow to where better is; None: neither direction is better."""
    return label if higher is None else f"{label} {'↑' if higher else '↓'}"


def heading(metric: Metric) -> str:
    """Return a metric's label with an arrow to where better is."""
    return with_arrow(metric.label, metric.higher)


def stacked(name: str) -> str:
    """Break a heading over two lines, at its first space, or after the name in "Δ name": columns of numbers are narrow."""
    return "\n".join(name.rsplit(" ", 1) if name.startswith("Δ") else name.split(" ", 1))


def leaves_out_zero(estimate: Estimate) -> bool:
    """Return whether a difference has an interval that excludes 0."""
    return estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)


def gflop(flops: float | None) -> str:
    """Return FLOPs in units of 10^9."""
    return NOT_COUNTED if flops is None else f"{flops / 1e9:.2f}"


def relative_flops(flops: float | None, against: float | None) -> str:
    """Return FLOPs relative to those of another row."""
    return NOT_COUNTED if flops is None or against is None else f"{flops / against:.2f}"


def cost_line(cost: Cost) -> str:
    """Return the cost of an item in words."""
    flops = f"FLOPs {NOT_COUNTED}" if cost.flops is None else f"{gflop(cost.flops)} GFLOP"
    return (
        f"per item: {cost.evaluations:g} network evaluations, {flops}, {1000 * cost.seconds:.0f} ms "
        f"({100 * cost.outside:.0f} % outside the network); peak memory {cost.peak_memory / 2**20:.0f} MiB"
    )


def scale_of(effective: Effective) -> str:
    """Return an effective guidance scale with its interval; a dash if there is no uncond branch to measure it against."""
    return "–" if effective.scale is None else with_interval(effective.scale, 2)


def scale_line(effective: Effective) -> str:
    """Return the effective guidance scale in words; "" if it was not recorded."""
    if not effective.evaluations:
        return ""
    if effective.scale is None:
        return "effective guidance scale: none, there is no unconditional prediction to measure it against"
    counted, whole = (f"{round(count, 1):g}" for count in (effective.evaluations - effective.left_out, effective.evaluations))
    of = f"over {counted} of {whole} evaluations"
    left = ", the others have no unconditional prediction" if effective.left_out else ""
    return f"effective guidance scale: {scale_of(effective)} ({of}{left})"


def flat(value: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Return nested settings as (dotted name, value) pairs, in their own order."""
    pairs = []
    for key, inside in value.items():
        pairs += flat(inside, f"{above}{key}.") if isinstance(inside, Mapping) else [(f"{above}{key}", inside)]
    return pairs

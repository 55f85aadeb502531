"""Rows of an experiment that are made equal to another row in strength or cost before they are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from s2g.engine.resolve import Outline, outline, resolve
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.composition import compose_row, named
from s2g.experiments.matching import brought_to, steps_of_equal_cost
from s2g.experiments.produce import require_trained
from s2g.experiments.specification import RunSpec
from s2g.scoring.score import Score

STRENGTH_ITEMS = 32  # items on which a knob is sought that gives another row's effective scale


def match_costs(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """Return the rows with `match: {nfe: ROW}` and `{flops: ROW}` resolved to sampler.steps; nothing is sampled for that."""
    return [_cost_matched(spec, specs) if {"nfe", "flops"} & set(spec.match) else spec for spec in specs]


def reference_of(spec: RunSpec, specs: Sequence[RunSpec]) -> int:
    """Return the index of the row of the same group whose scale a row is brought to; UserError if the group lacks it."""
    return _index(spec, str(spec.match["scale"]), specs)


def match_scale(spec: RunSpec, reference: Score, produce: Callable[[list[Run]], list[Score]]) -> RunSpec:
    """Return a row with `match: {scale: ROW}` resolved: CFG at that row's effective scale, or another knob by bisection.

    produce: samples and scores; called with STRENGTH_ITEMS items of the row's own seed for each value that is tried.
    """
    with named(spec):
        if reference.effective.scale is None:
            raise UserError(f"match.scale = {spec.match['scale']}: that row has no effective scale", todo="name another row")
        target = reference.effective.value
        if "by" not in spec.match:
            return _with(spec, {"guidance.scale": round(target, 2)})
        knob, (low, high) = f"guidance.{spec.match['by']}", spec.match["between"]

        def scale_at(value: float) -> float:
            raw = compose_row(_with(spec, {knob: value}))
            return produce([require_trained(resolve({**raw, "num": STRENGTH_ITEMS})[0])])[0].effective.value

        return _with(spec, {knob: brought_to(target, scale_at, low, high)})


def _cost_matched(spec: RunSpec, specs: Sequence[RunSpec]) -> RunSpec:
    kind = "nfe" if "nfe" in spec.match else "flops"
    with named(spec):
        other = specs[_index(spec, str(spec.match[kind]), specs)]
        own = outline(compose_row(spec))
        steps = steps_of_equal_cost(_cost(outline(compose_row(other)), kind), _cost(own, kind), own.sampler.steps)
    return _with(spec, {"sampler.steps": steps})


def _cost(run: Outline, kind: str) -> float:
    """Return network evaluations, or FLOPs with prefix reuse, per item."""
    from s2g.engine.cost import full_pass  # torch, which most tables do not need to be read
    from s2g.engine.cost_estimate import expected_cost

    expected = expected_cost(run, cost := full_pass(run.model))
    if cost.uncounted and kind == "flops":
        raise UserError(
            f"match: flops: those of model = {run.model.name} are not counted ({cost.uncounted})", todo="match: {nfe: ROW}"
        )
    return expected.evaluations + expected.weak if kind == "nfe" else expected.flops


def _index(spec: RunSpec, name: str, specs: Sequence[RunSpec]) -> int:
    for index, other in enumerate(specs):
        if (other.group, other.row) == (spec.group, name):
            return index
    raise UserError(f"match: group {spec.group} has no row {name}")


def _with(spec: RunSpec, values: Mapping[str, Any]) -> RunSpec:
    return replace(spec, set={**spec.set, **values}, match={})

"""Print the plan of a run, a table or a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from s2g.config.knob import DEFAULT, TYPED, Knob
from s2g.config.typed import overrides_of
from s2g.engine.resolve import outline
from s2g.engine.run import describe
from s2g.experiments.planning import PEAK, UTILISATION, Planned, distinct, needed, plan_run
from s2g.experiments.specification import ExperimentSpec, Profile, RunSpec
from s2g.report.number_text import NOT_COUNTED
from s2g.report.tables import console_table
from s2g.sampling.activity import method_notes
from s2g.store.store import Store

_PEAKS = "; ".join(f"{gpu} {peak['bf16']} in bf16, {peak['fp32']} in fp32" for gpu, peak in PEAK.items())
BASIS = (
    f"GPU-hours: FLOPs of the denoiser alone at {UTILISATION:.0%} of the peak (assumed; TFLOP/s: {_PEAKS}; fp32 without TF32). "
    "Text encoders, decoders and scorers come on top. A network call is one item's."
)


def show_run_plan(raw: Mapping[str, Any], root: str, console: Console) -> None:
    """Print the plan of one run (python run.py ... plan=true); UserError as for the run itself."""
    trace: list[Knob] = []
    run = outline(raw, trace)
    one = plan_run(RunSpec("", run.name, run.name, raw["bench"]["name"], {}), raw, root)
    unit, name = run.model.unit, one.key or f"{run.model.name}-{run.name}"
    state = f"{one.items // unit} units to make" if one.key else one.state
    console.print(f"{name}: {run.num:,} items in {-(-run.num // unit):,} units of {unit}; {state}", soft_wrap=True)
    if one.key:
        console.print(Store(Path(root).absolute() / one.key).display_path(), soft_wrap=True)
    for note in method_notes(run.name, run.guidance, run.sampler, run.model.blocks):
        console.print(note, soft_wrap=True, markup=False)
    for line in knob_lines(raw, run.model.name, trace):
        console.print(line, soft_wrap=True, markup=False)
    console.print(costs(one), soft_wrap=True)
    if one.items:
        console.print(BASIS, soft_wrap=True)
    for name, lines in needed([one]).items():
        if lines:
            console.print(f"{name}: {'; '.join(lines)}", soft_wrap=True)


def knob_lines(raw: Mapping[str, Any], model: str, trace: Sequence[Knob]) -> list[str]:
    """Return a line per knob: key, value, and its source; values of a sampler's YAML file are told from typed ones."""
    typed = overrides_of(raw)
    keys = [f"{knob.key} = {value_text(knob.value)}" for knob in trace]
    width = min(36, max(map(len, keys)))
    lines, seen = [], set[str]()
    for key, knob in zip(keys, trace, strict=True):
        origin = f"{model}'s {knob.source}" if knob.source in seen else knob.origin(model)  # a preset's comment once
        seen |= {knob.source} - {TYPED, DEFAULT}
        if knob.source == TYPED and knob.key.startswith("sampler.") and knob.key not in typed:
            origin = f"configs/sampler/{typed['sampler']}.yaml"
        if any(other.startswith(f"model.{knob.source}.") for other in typed):
            origin = f"typed: model.{knob.source}"
        lines.append(f"  {key:{width}}  {origin}")
    return lines


def value_text(value: Any) -> str:
    """Return a knob's value on one line."""
    plain = describe(value)
    return json.dumps({k: v for k, v in plain.items() if k != "class"} if isinstance(plain, dict) else plain)


def show_plan(experiment: ExperimentSpec, profile: Profile, plans: Sequence[Planned], console: Console) -> None:
    """Print a plan as a table, what has to be fetched, and under which licences."""
    rows = []
    for one in plans:
        cells = [f"{one.items:,}", f"{one.evaluations:,.0f}", _peta(one.flops), *(hours_text(h) for h in one.hours.values())]
        label = f"{profile.groups[one.spec.group].label}, {one.spec.label}"
        rows.append([label, one.spec.bench, one.state, *cells, _gigabytes(one.disk_gb)])
    once = distinct(plans)
    sums = [
        f"{sum(one.items for one in once):,}",
        f"{sum(one.evaluations for one in once):,.0f}",
        _peta(sum(one.flops for one in once)),
    ]
    sums += [hours_text(sum(one.hours[gpu] for one in once)) for gpu in PEAK]
    rows.append(["all", "", "", *sums, _gigabytes(sum(one.disk_gb for one in once))])
    console.print(f"{experiment.title}, profile {profile.name}: what is missing")
    head = ["", "bench", "state", "items", "network calls", "PFLOP", *(f"{gpu} h" for gpu in PEAK), "disk GB"]
    console.print(console_table(head, rows))
    console.print(BASIS, soft_wrap=True)
    for said in dict.fromkeys(f"{one.model.name}: FLOPs {NOT_COUNTED} ({one.uncounted})" for one in plans if one.uncounted):
        console.print(said, soft_wrap=True, markup=False)
    for name, lines in needed(plans).items():
        console.print(f"{name}: {'; '.join(lines) or 'nothing'}", soft_wrap=True)


def costs(one: Planned) -> str:
    """Return in words what is still to be made."""
    if not one.items:
        return "nothing is missing"
    hours = ", ".join(f"{hours_text(h)} h on {gpu}" for gpu, h in one.hours.items())
    work = f"FLOPs {NOT_COUNTED} ({one.uncounted})" if one.uncounted else f"{_peta(one.flops)} PFLOP ({hours})"
    return f"{one.items:,} items to make: {one.evaluations:,.0f} network calls, {work}, {_gigabytes(one.disk_gb)} GB of disk"


def _peta(flops: float) -> str:
    if math.isnan(flops):
        return NOT_COUNTED
    return f"{flops / 1e15:,.0f}" if flops >= 1e17 else f"{flops / 1e15:.2g}"


def hours_text(hours: float) -> str:
    """Return hours with as many digits as an estimate deserves."""
    if math.isnan(hours):
        return "–"
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 0.1 else f"{hours:.1g}"


def _gigabytes(size: float) -> str:
    return f"{size:,.0f}" if size >= 10 else f"{size:.2g}"

"""What a table or figure would take, before any weight is loaded: items, network calls, FLOPs, GPU-hours, disk, downloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from s2g.config.schema import ModelConfig, canonical
from s2g.engine.run import Outline, describe, outline, resolve
from s2g.errors import NotBuiltError, SeveralError, UserError, lacks
from s2g.experiments.composition import composed, composing, named
from s2g.experiments.specification import ExperimentSpec, Profile, RunSpec, run_specs
from s2g.experiments.specification_file import find_experiment, panels
from s2g.report.tables import console_table
from s2g.store.store import Store

# Peak dense TFLOP/s without sparsity, by dtype (NVIDIA's data sheets); fp32 without TF32, which S2G leaves off.
PEAK = {
    "H20": {"bf16": 148, "fp16": 148, "fp32": 44},
    "H100": {"bf16": 989, "fp16": 989, "fp32": 67},
    "H200": {"bf16": 989, "fp16": 989, "fp32": 67},
}
UTILISATION = 0.4  # of the peak, assumed; the paper's 498.6 TFLOP in 29.2 s on an H20 is 17 TFLOP/s, 0.39 of fp32's
_PEAKS = "; ".join(f"{gpu} {peak['bf16']} in bf16, {peak['fp32']} in fp32" for gpu, peak in PEAK.items())
BASIS = (
    f"GPU-hours: FLOPs of the denoiser alone at {UTILISATION:.0%} of the peak (assumed; TFLOP/s: {_PEAKS}; fp32 without TF32). "
    "Text encoders, decoders and scorers come on top. A network call is one item's."
)
PNG_MB = 0.002  # an item of the built-in models


@dataclass(frozen=True)
class Planned:
    """One row of one group on one bench."""

    spec: RunSpec
    state: str  # "stored", "12 of 34 units", "missing", "not built"
    key: str  # "" where there is none without weights
    items: int
    evaluations: float  # of all items
    flops: float  # of all items
    hours: Mapping[str, float]  # GPU -> hours
    disk_gb: float
    model: ModelConfig
    bench: Any

    @property
    def costs(self) -> str:
        """What is missing, in words."""
        if not self.items:
            return "nothing is missing"
        hours = ", ".join(f"{_hours(h)} h on {gpu}" for gpu, h in self.hours.items())
        return (
            f"{self.items:,} items to make: {self.evaluations:,.0f} network calls, {_peta(self.flops)} PFLOP ({hours}), "
            f"{_gigabytes(self.disk_gb)} GB of disk"
        )


def plan(experiment: ExperimentSpec, profile: Profile, num: int | None, root: str) -> list[Planned]:
    """Every row with what it takes; no weights are needed, nothing is written."""
    found: list[Planned] = []
    seen: set[str] = set()
    with composing():
        for spec in run_specs(profile):
            raw = composed(spec)
            if num is not None:
                raw["num"] = num
            with named(spec):
                one = _planned(spec, raw, root)
            # What a bench scores of its items is no part of them: they are sampled once.
            samples = canonical({**raw, "bench": {key: value for key, value in raw["bench"].items() if key != "score"}})
            found.append(_sampled_already(one) if samples in seen else one)
            seen.add(samples)
    return found


def _sampled_already(one: Planned) -> Planned:
    """A row whose items another row has: nothing of it is to be made."""
    hours = dict.fromkeys(one.hours, 0.0)
    return replace(one, state="same items", items=0, evaluations=0, flops=0, hours=hours, disk_gb=0)


def _planned(spec: RunSpec, raw: Mapping[str, Any], root: str) -> Planned:
    run = outline(raw)
    state, key, items = "missing", "", run.num
    try:
        whole = resolve(raw)[0]
        key = whole.key
        missing, units = len(Store.of(whole, root).missing(whole)), len(whole.units)
        items = missing * run.model.unit
        state = "stored" if not missing else "missing" if missing == units else f"{units - missing} of {units} units"
    except NotBuiltError:
        state = "not built"
    except UserError as error:  # built, but its weights are not here
        first = error.errors[0] if isinstance(error, SeveralError) else error
        state = str(first).splitlines()[0]
        if state.startswith(("bench.", "model.vae")) and " = " in state and lacks(first):  # which one is listed below the table
            state = f"no file: {state.partition(' = ')[0]}"
    expected = _expected(canonical(describe(run.model)), canonical([describe(run.guidance), describe(run.sampler)]), _Held(run))
    # A second network is counted as the model itself: how large it is, its weights will say.
    per_item = expected.flops + expected.weak * full(canonical(describe(run.model)), _Held(run)).total
    flops = items * per_item
    dtype = run.model.dtype
    hours = {gpu: flops / (peak[dtype] * 1e12 * UTILISATION) / 3600 for gpu, peak in PEAK.items()}
    kept = getattr(run.bench, "kept_mb", PNG_MB)
    evaluations = items * (expected.evaluations + expected.weak)
    return Planned(spec, state, key, items, evaluations, flops, hours, items * kept / 1000, run.model, run.bench)


def show_run_plan(raw: Mapping[str, Any], root: str, console: Console) -> None:
    """python run.py ... plan=true: one run, before any weight is loaded; UserError as for the run itself."""
    about = outline(raw)
    one = _planned(RunSpec("", about.name, about.name, raw["bench"]["name"], {}), raw, root)
    unit, name = about.model.unit, one.key or f"{about.model.name}-{about.name}"
    state = f"{one.items // unit} units to make" if one.key else one.state
    console.print(f"{name}: {about.num:,} items in {-(-about.num // unit):,} units of {unit}; {state}", soft_wrap=True)
    if one.key:
        console.print(Store(Path(root).absolute() / one.key).shown(), soft_wrap=True)
    console.print(one.costs, soft_wrap=True)
    if one.items:
        console.print(BASIS, soft_wrap=True)
    for name, lines in needed([one]).items():
        if lines:
            console.print(f"{name}: {'; '.join(lines)}", soft_wrap=True)


class _Held:
    """A run behind a key: two of them are always equal, so that what stands before decides what is cached."""

    def __init__(self, run: Outline) -> None:
        self.run = run

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@cache
def full(model: str, held: _Held) -> Any:
    """FLOPs of one full pass, once per model."""
    from s2g.engine.cost_estimate import full_pass

    return full_pass(held.run.model)


@cache
def _expected(model: str, method: str, held: _Held) -> Any:
    from s2g.engine.cost_estimate import rehearse

    return rehearse(held.run, full(model, held))


def show_plan_of(folder: Path, name: str, profile: str, num: int | None, root: str) -> None:
    """The plan of folder/NAME.yaml in one profile, on the console."""
    console = Console(highlight=False)
    console.width = max(console.width, 120)  # a pipe has no width of its own, and rich would fold at 80 columns
    for panel in panels(folder, name):
        experiment = find_experiment(folder, panel)
        chosen = experiment.profile(profile)
        if chosen.study:
            console.print(
                f"{experiment.title}: computed of the networks themselves, seconds a row; nothing is sampled", soft_wrap=True
            )
            continue
        show_plan(experiment, chosen, plan(experiment, chosen, num, root), console)


def show_plan(experiment: ExperimentSpec, profile: Profile, plans: Sequence[Planned], console: Console) -> None:
    """The plan as a table, what has to be fetched, and what may be done with it."""
    rows = []
    seen: set[str] = set()
    total = {"items": 0, "evaluations": 0.0, "flops": 0.0, "disk": 0.0, **dict.fromkeys(PEAK, 0.0)}
    for one in plans:
        # Rows on two benches, and rows that are one run, cost what they cost once each.
        same = one.key or canonical({**one.spec.set, "group": one.spec.group})
        if same not in seen:
            total["items"] += one.items
            total["evaluations"] += one.evaluations
            total["flops"] += one.flops
            total["disk"] += one.disk_gb
            for gpu, hours in one.hours.items():
                total[gpu] += hours
        seen.add(same)
        cells = [f"{one.items:,}", f"{one.evaluations:,.0f}", _peta(one.flops), *(_hours(h) for h in one.hours.values())]
        label = f"{profile.groups[one.spec.group].label}, {one.spec.label}"
        rows.append([label, one.spec.bench, one.state, *cells, _gigabytes(one.disk_gb)])
    cells = [f"{total['items']:,}", f"{total['evaluations']:,.0f}", _peta(total["flops"]), *(_hours(total[g]) for g in PEAK)]
    rows.append(["all", "", "", *cells, _gigabytes(total["disk"])])
    console.print(f"{experiment.title}, profile {profile.name}: what is missing")
    head = ["", "bench", "state", "items", "network calls", "PFLOP", *(f"{gpu} h" for gpu in PEAK), "disk GB"]
    console.print(console_table(head, rows))
    console.print(BASIS, soft_wrap=True)
    for name, lines in needed(plans).items():
        console.print(f"{name}: {'; '.join(lines) or 'nothing'}", soft_wrap=True)


def needed(plans: Sequence[Planned]) -> dict[str, list[str]]:
    """Weights, downloads of the scorers, and licences, each once."""
    weights, downloads, licences = {}, {}, {}
    for one in plans:
        if not one.model.ships:
            size = f", {one.model.download_gb:g} GB" if one.model.download_gb else ""
            decoder = [one.model.vae] if one.model.vae != "none" and not one.model.random else []
            fetched = [one.model.weights, *([one.model.base] if one.model.base else []), *decoder]
            weights[f"{' and '.join(fetched)}{size}"] = None
            licences[f"{one.model.name}: {one.model.licence}"] = None
        downloads.update(dict.fromkeys(getattr(one.bench, "downloads", ())))  # a built bench's as a planned one's
        licences.update(dict.fromkeys(getattr(one.bench, "licences", ())))
    return {"weights": list(weights), "scorers fetch": list(downloads), "licences": list(licences)}


def as_data(plans: Sequence[Planned]) -> list[dict[str, Any]]:
    """The plan as plain data."""
    return [
        {
            **asdict(one.spec),
            "state": one.state,
            "key": one.key,
            "items": one.items,
            "network_calls": one.evaluations,
            "flops": one.flops,
            "gpu_hours": dict(one.hours),
            "disk_gb": one.disk_gb,
        }
        for one in plans
    ]


def _peta(flops: float) -> str:
    return f"{flops / 1e15:,.0f}" if flops >= 1e17 else f"{flops / 1e15:.2g}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 0.1 else f"{hours:.1g}"


def _gigabytes(size: float) -> str:
    return f"{size:,.0f}" if size >= 10 else f"{size:.2g}"

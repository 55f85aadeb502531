"""Plan a table or figure before any weight is loaded: items, network calls, FLOPs, GPU-hours, disk, downloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from s2g.config.schema import ModelConfig, canonical
from s2g.engine.resolve import Outline, outline, resolve
from s2g.engine.run import describe
from s2g.errors import MissingError, NotBuiltError, SeveralError, UserError
from s2g.experiments.composition import compose_row, named
from s2g.experiments.matched_rows import match_costs
from s2g.experiments.specification import Profile, RunSpec, run_specs
from s2g.store.store import Store

# Peak dense TFLOP/s without sparsity, by dtype (NVIDIA's data sheets); fp32 without TF32, which S2G leaves off.
PEAK = {
    "H20": {"bf16": 148, "fp16": 148, "fp32": 44},
    "H100": {"bf16": 989, "fp16": 989, "fp32": 67},
    "H200": {"bf16": 989, "fp16": 989, "fp32": 67},
}
UTILISATION = 0.4  # of the peak, assumed; the paper's 498.6 TFLOP in 29.2 s on an H20 is 17 TFLOP/s, 0.39 of fp32's


@dataclass(frozen=True)
class Planned:
    """One row of one group on one bench."""

    spec: RunSpec
    state: str  # "stored", "12 of 34 units", "missing", "not built"
    key: str  # "" where there is none without weights
    items: int
    evaluations: float  # of all items
    flops: float  # of all items; nan: not counted
    hours: Mapping[str, float]  # GPU -> hours
    disk_gb: float
    model: ModelConfig
    bench: Any
    uncounted: str = ""  # why FLOPs and hours are not counted


def distinct(plans: Sequence[Planned]) -> list[Planned]:
    """Return each run once: rows on two benches, and rows that are one run, cost what they cost once."""
    return list({one.key or canonical(_named_by(one.spec)): one for one in reversed(plans)}.values())


def _named_by(spec: RunSpec) -> dict[str, Any]:
    """Return what tells a row without a key from others: rows that are brought to other rows' scales are typed alike."""
    return {**spec.set, "group": spec.group, "match": dict(spec.match)}


def plan(profile: Profile, num: int | None, root: str) -> list[Planned]:
    """Return every row with its cost; needs no weights and writes nothing."""
    plans: list[Planned] = []
    seen: set[str] = set()
    for spec in match_costs(run_specs(profile)):
        raw = compose_row(spec)
        if num is not None:
            raw["num"] = num
        with named(spec):
            one = plan_run(spec, raw, root)
        # How a bench scores its items does not change them: they are sampled once.
        bench = {key: value for key, value in raw["bench"].items() if key != "score"}
        samples = canonical({**raw, "bench": bench, "match": dict(spec.match)})
        plans.append(_sampled_already(one) if samples in seen else one)
        seen.add(samples)
    return plans


def _sampled_already(one: Planned) -> Planned:
    """Return the plan of a row whose items another row samples: it costs nothing."""
    hours = dict.fromkeys(one.hours, 0.0)
    return replace(one, state="same items", items=0, evaluations=0, flops=0, hours=hours, disk_gb=0)


def plan_run(spec: RunSpec, raw: Mapping[str, Any], root: str) -> Planned:
    """Return the cost of one composed run; UserError as for the run itself, unless something it needs is missing here.

    A row that is brought to another row's scale has no key before that one is scored, and is planned to be made.
    """
    run = outline(raw)
    state, key, items = "missing", "", run.num
    try:
        whole = resolve(raw)[0]
        units = len(whole.units)
        if spec.match:
            items, state = units * run.model.unit, f"after {spec.match['scale']}"
        else:
            key = whole.key
            missing = units - len(Store.of(whole, root).usable(whole))  # no list of them: a plan costs the same for any num
            items = missing * run.model.unit
            state = "stored" if not missing else "missing" if missing == units else f"{units - missing} of {units} units"
    except NotBuiltError:
        state = "not built"
    except UserError as error:  # built, but its weights are not here
        first = error.errors[0] if isinstance(error, SeveralError) else error
        state = str(first).splitlines()[0]
        if isinstance(first, MissingError) and first.kind == "file" and first.key.startswith(("bench.", "model.vae")):
            state = f"no file: {first.key}"  # which one is listed below the table
    expected = _expected(canonical(describe(run.model)), canonical([describe(run.guidance), describe(run.sampler)]), _Held(run))
    # A second network is counted as the model itself: how large it is, its weights will say.
    cost = full(canonical(describe(run.model)), _Held(run))
    per_item = expected.flops + expected.weak * cost.total
    flops = items * per_item if items else 0.0
    dtype = run.model.dtype
    hours = {gpu: flops / (peak[dtype] * 1e12 * UTILISATION) / 3600 for gpu, peak in PEAK.items()}
    kept = run.bench.kept_mb
    evaluations = items * (expected.evaluations + expected.weak)
    disk = items * kept / 1000
    return Planned(spec, state, key, items, evaluations, flops, hours, disk, run.model, run.bench, cost.uncounted)


class _Held:
    """Carries a run past `cache`: all are equal, so the other arguments alone are the cache key."""

    def __init__(self, run: Outline) -> None:
        self.run = run

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@cache
def full(model: str, held: _Held) -> Any:
    """Return the FLOPs of one full pass, counted once per model."""
    from s2g.engine.cost import full_pass

    return full_pass(held.run.model)


@cache
def _expected(model: str, method: str, held: _Held) -> Any:
    from s2g.engine.cost_estimate import expected_cost

    return expected_cost(held.run, full(model, held))


def needed(plans: Sequence[Planned]) -> dict[str, list[str]]:
    """Return the weights, the downloads of the scorers, and the licences, each listed once."""
    weights, downloads, licences = {}, {}, {}
    for one in plans:
        if not one.model.ships:
            size = f", {gigabytes:g} GB" if (gigabytes := one.model.size_gb()) else ""
            decoder = [one.model.vae] if one.model.vae != "none" and not one.model.random else []
            fetched = [one.model.weights, *([one.model.base] if one.model.base else []), *decoder]
            weights[f"{' and '.join(fetched)}{size}"] = None
            licences[f"{one.model.name}: {one.model.licence}"] = None
        downloads.update(dict.fromkeys(one.bench.downloads))
        licences.update(dict.fromkeys(one.bench.licences))
    return {"weights": list(weights), "scorers fetch": list(downloads), "licences": list(licences)}

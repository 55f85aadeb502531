"""Stored items to scores: measured once, kept beside the samples, estimated with error bars over units."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2g.config.own_code import own_code
from s2g.config.schema import canonical
from s2g.engine.bench import Arrays, Bench, MeasuredBench, Metric
from s2g.engine.run import Run
from s2g.errors import DamageError
from s2g.metrics.statistics import Estimate, Paired, jackknife, jackknife_merged, of_mean
from s2g.scoring.file_scoring import PLACE, FileBench, look, todo_of
from s2g.scoring.scoring_pool import Crew, asked_here
from s2g.store.retention import IMAGES, FeatureBench, spooled
from s2g.store.score_files import items_digest, read_arrays, write_scores
from s2g.store.store import Store

CHUNK = 64  # items measured at once


@dataclass(frozen=True)
class Cost:
    """What an item cost; seconds are the median unit's, shared by its items, peak memory the largest unit's."""

    evaluations: float  # network evaluations per item
    flops: float  # per item
    seconds: float  # per item
    peak_memory: int  # bytes
    outside: float  # share of the time spent outside the network, 0 to 1


@dataclass(frozen=True)
class Effective:
    """The effective guidance scale of a run, and over how many of an item's evaluations it is a mean."""

    scale: Estimate | None  # over units; None where no evaluation had an uncond branch
    evaluations: float  # of the guided network, per item; with an adaptive solver a mean over units
    left_out: float  # those without an uncond branch, or without any

    @property
    def value(self) -> float:
        """The scale; nan where there is none."""
        return math.nan if self.scale is None else self.scale.value


@dataclass(frozen=True)
class Score:
    """Estimates by metric name, the per-item arrays they come from, the cost, and the effective scale."""

    run: Run
    estimates: dict[str, Estimate]
    arrays: dict[str, np.ndarray]
    cost: Cost
    effective: Effective
    not_kept: str = ""  # why they could not be written beside the samples
    remarks: tuple[str, ...] = ()  # what must be said beside them, such as that they are not comparable


def score(run: Run, store: Store, crew: Crew | None = None) -> Score:
    """Scores of the run's first `num` items, measured now or read back if they were measured before.

    crew: who scores images that are judged one by one; this process alone where not given. What is kept depends on the
    items and the protocol alone, to the byte, and is measured again if items have changed.
    A store that cannot be written gives its scores all the same. DamageError if an item is not what was written; UserError
    with the whole list, before any is judged, where a bench judges images one by one and they are not all there.
    """
    judge = run.bench if isinstance(run.bench, FileBench) else None
    some = judge is not None and judge.allow_missing  # what is there may change without its records: always looked at
    if judge is not None and not some and not store.stored() >= set(run.units):
        look(store, run.num).check(store.shown(), run.num, False, todo_of(store))
    records = _readable(run, store) if some else list(store.records(run.units))
    name = score_name(run.bench, run.num)
    items = items_digest(records, run.num)
    arrays = None if some else read_arrays(store, name, items)
    measured = arrays is None
    if arrays is None:
        arrays = _measure(run, store, crew)
    estimates = {metric.name: estimate(metric, arrays, _units(run)) for metric in run.bench.metrics}
    remarks = run.bench.remarks(run.num, arrays)
    not_kept = ""
    if measured:
        about = {"protocol": run.bench.version(), "n": run.num, "items": items, **({"remarks": remarks} if remarks else {})}
        try:
            write_scores(store, name, arrays, estimates, about)
        except OSError as error:
            not_kept = error.strerror or str(error)
    cost, effective = cost_of(records, run.model.unit), effective_of(records)
    return Score(run, estimates, arrays, cost, effective, not_kept, tuple(remarks))


def remembered(
    run: Run, store: Store, protocol: Mapping[str, Any], measure: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Per-item arrays of something else than the bench's own metrics, measured now or read back; kept as scores are.

    protocol: plain data that says what is measured, against what.
    """
    name = hashlib.sha256(canonical({**protocol, "num": run.num}).encode()).hexdigest()[:12]
    items = items_digest(list(store.records(run.units)), run.num)
    arrays = read_arrays(store, name, items)
    if arrays is None:
        arrays = measure()
        with contextlib.suppress(OSError):  # a store that cannot be written gives its numbers all the same
            write_scores(store, name, arrays, {}, {"protocol": dict(protocol), "n": run.num, "items": items})
    return arrays


def score_name(bench: Bench, num: int) -> str:
    """12 hex digits of how the first `num` items are measured, by which code where the bench is a user's own."""
    code = own_code([bench])
    protocol = {**bench.version(), "num": num, **({"code": code} if code else {})}
    return hashlib.sha256(canonical(protocol).encode()).hexdigest()[:12]


def estimate(metric: Metric, arrays: Arrays, unit_of: np.ndarray) -> Estimate:
    """A metric of one run's per-item arrays with its error bar over units [N]."""
    if metric.items is not None:
        return of_mean(metric.items(arrays), unit_of, metric.bounds)
    value = _value(metric)
    if metric.gather is not None:
        return jackknife_merged([metric.gather(part) for part in _by_unit(arrays, unit_of)], value)
    return jackknife(lambda rows: value(_rows(arrays, rows)), unit_of)


def unpaired(a: Run, b: Run) -> str:
    """Return why items of the two runs do not begin as the same noise for the same prompt; "" if they do."""
    if a.bench.items_id() != b.bench.items_id():
        return "other prompts"
    if a.seed != b.seed:
        return f"seed {a.seed}, not {b.seed}"
    for name in ("resolution", "frames", "height", "width", "noise", "unit"):
        if (one := getattr(a.model, name)) != (other := getattr(b.model, name)):
            return f"{name} {one}, not {other}"
    return "" if a.model.network == b.model.network else "another network"


def difference(metric: Metric, a: Score, b: Score) -> Estimate:
    """a minus b on the same items, paired: both are resampled, or leave out, the same unit."""
    unit_of = _units(a.run)
    if metric.items is not None:
        width = None if metric.bounds is None else metric.bounds[1] - metric.bounds[0]
        return of_mean(metric.items(a.arrays) - metric.items(b.arrays), unit_of, None if width is None else (-width, width))
    value = _value(metric)
    if metric.gather is not None:
        both = zip(_by_unit(a.arrays, unit_of), _by_unit(b.arrays, unit_of), strict=True)
        parts = [Paired(metric.gather(of_a), metric.gather(of_b)) for of_a, of_b in both]
        return jackknife_merged(parts, lambda pair: value(pair.a) - value(pair.b))
    return jackknife(lambda rows: value(_rows(a.arrays, rows)) - value(_rows(b.arrays, rows)), unit_of)


def _value(metric: Metric) -> Callable[[Any], float]:
    assert metric.value is not None
    return metric.value


def _readable(run: Run, store: Store) -> list[dict[str, Any]]:
    """The records there are of a run that need not be whole."""
    found = []
    for unit in sorted(store.stored() & set(run.units)):
        with contextlib.suppress(DamageError):
            found.append(store.record(unit))
    return found


def _units(run: Run) -> np.ndarray:
    """What an interval is over: units, or what a bench says is alike."""
    clusters = run.bench.clusters(run.num)
    return np.arange(run.num) // run.model.unit if clusters is None else clusters


def _rows(arrays: Arrays, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in arrays.items()}


def _by_unit(arrays: Arrays, unit_of: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [_rows(arrays, unit_of == unit) for unit in np.unique(unit_of)]


def _measure(run: Run, store: Store, crew: Crew | None) -> dict[str, np.ndarray]:
    if not run.bench.metrics:  # nothing was kept but sums
        return {}
    bench = run.bench
    if isinstance(bench, FileBench):
        images = look(store, run.num).check(store.shown(), run.num, bench.allow_missing, todo_of(store))
        return bench.judge(images, run.num, store.folder / PLACE, asked_here if crew is None else crew.asked)
    if isinstance(bench, FeatureBench):
        return _gathered(run, store, bench)
    chunks = [range(start, min(start + CHUNK, run.num)) for start in range(0, run.num, CHUNK)]
    assert isinstance(bench, MeasuredBench)
    parts = [bench.measure(store.items(chunk), chunk) for chunk in chunks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _gathered(run: Run, store: Store, bench: FeatureBench) -> dict[str, np.ndarray]:
    """Return per-item arrays from stored features, or from features read now off the images if another network made those."""
    identity, records = bench.sink.identity(), list(store.records(run.units))
    ends = [min(run.model.unit, run.num - unit * run.model.unit) for unit in run.units]
    if all(record.get("sink") == identity for record in records):
        return bench.gather(lambda: (store.features(unit)[:end] for unit, end in zip(run.units, ends, strict=True)), run.num)
    assert all(record.get("kept", "png") in IMAGES for record in records)  # else the unit would have been made again
    # Whole units, as when they were sampled: another batch may round differently.
    units = ((run.unit(unit).items, end) for unit, end in zip(run.units, ends, strict=True))
    with spooled(bench.sink.read(store.items(items), "auto")[:end] for items, end in units) as features:
        return bench.gather(features, run.num)


def cost_of(records: Sequence[dict[str, Any]], unit: int) -> Cost:
    """The cost of an item of a run with units of `unit` items, from the units' records."""
    seconds, inside = (np.array([record[name] for record in records]) for name in ("seconds", "network_seconds"))
    evaluations, flops = (float(np.mean([record[name] for record in records])) for name in ("evaluations", "flops"))
    return Cost(
        evaluations=evaluations,
        flops=flops,
        seconds=float(np.median(seconds)) / unit,
        peak_memory=max(record["peak_memory"] for record in records),
        outside=float(1 - inside.sum() / seconds.sum()),
    )


def effective_of(records: Sequence[dict[str, Any]]) -> Effective:
    """The effective guidance scale from the units' records; of its unit, each is the mean over evaluations and items."""
    facts = [record.get("effective_scale", {"mean": None, "evaluations": 0, "left_out": 0}) for record in records]
    means = np.array([fact["mean"] for fact in facts if fact["mean"] is not None])
    scale = of_mean(means, np.arange(len(means))) if len(means) else None
    evaluations, left_out = (float(np.mean([fact[name] for fact in facts])) for name in ("evaluations", "left_out"))
    return Effective(scale, evaluations, left_out)

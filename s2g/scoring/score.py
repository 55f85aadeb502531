"""Score stored items: measure once, keep the arrays beside the samples, estimate with error bars over units."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from s2g.config.own_code import own_code
from s2g.config.schema import canonical
from s2g.engine.bench import Arrays, Bench, MeasuredBench, Metric
from s2g.engine.run import Run
from s2g.errors import DamageError
from s2g.metrics.balanced import turns
from s2g.metrics.statistics import Estimate, Paired, jackknife, jackknife_merged, of_influence, of_mean
from s2g.scoring.file_scoring import PLACE, FileBench, look, todo_of
from s2g.scoring.scoring_pool import ScoringPool, answer_here
from s2g.store.retention import IMAGES, FeatureBench, spooled
from s2g.store.score_files import items_digest, read_arrays, write_scores
from s2g.store.store import Store

CHUNK = 64  # items measured at once


@dataclass(frozen=True)
class Cost:
    """The cost of an item: seconds from the median unit, peak memory from the largest."""

    evaluations: float  # network evaluations per item
    flops: float | None  # per item; None: not counted
    seconds: float  # per item
    peak_memory: int  # bytes
    outside: float  # share of the time spent outside the network, 0 to 1


@dataclass(frozen=True)
class Effective:
    """The effective guidance scale of a run, and how many evaluations per item it averages."""

    scale: Estimate | None  # over units; None where no evaluation had an uncond branch
    evaluations: float  # of the guided network, per item; a mean over units for adaptive solvers
    left_out: float  # evaluations without an uncond branch, or without any branch

    @property
    def value(self) -> float:
        """The scale; nan if there is none."""
        return math.nan if self.scale is None else self.scale.value


@dataclass(frozen=True)
class Score:
    """Estimates by metric name, their per-item arrays, the cost and the effective scale."""

    run: Run
    estimates: dict[str, Estimate]
    arrays: dict[str, np.ndarray]
    cost: Cost
    effective: Effective
    not_kept: str = ""  # why the score could not be stored beside the samples
    remarks: tuple[str, ...] = ()  # to be shown beside the estimates, such as that they are not comparable


def score(run: Run, store: Store, pool: ScoringPool | None = None) -> Score:
    """Return the scores of the run's first `num` items, measured now or read back.

    pool: the workers for scorers that take files one by one; this process by default. The stored bytes depend on items and
    protocol only; items that have changed are measured again. A read-only store yields scores all the same.
    DamageError if an item is not what was written. UserError with all problems, before any file is scored, if a bench that
    scores files lacks some.
    """
    judge = run.bench if isinstance(run.bench, FileBench) else None
    some = judge is not None and judge.allow_missing  # files may appear without a change of records: never read back
    if judge is not None and not some and not store.stored() >= set(run.units):
        look(store, run.num).check(store.display_path(), run.num, False, todo_of(store))
    records = _readable(run, store) if some else store.records(run.units)
    name = score_name(run.bench, run.num)
    items = items_digest(records, run.num)
    arrays = None if some else read_arrays(store, name, items)
    measured = arrays is None
    if arrays is None:
        arrays = _measure(run, store, pool)
    estimates = {metric.name: estimate(metric, arrays, *units_of(run)) for metric in run.bench.metrics}
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


@dataclass(frozen=True)
class ScoreJob:
    """A worker's part in scoring: it measures a run and keeps the scores beside the samples, where `score` finds them."""

    run: Run
    root: str

    scoring: ClassVar[bool] = True

    @staticmethod
    def of(run: Run, root: str) -> ScoreJob | None:
        """Return the job, or None where scorers take files one by one: those are spread over all workers."""
        return None if isinstance(run.bench, FileBench) or not run.bench.metrics else ScoreJob(run, root)

    def do(self, device: str) -> float:
        """Score the run; return the seconds it took. An error comes again, and is told, when the command asks for the score."""
        began = time.perf_counter()
        score(self.run, Store.of(self.run, self.root))
        return time.perf_counter() - began


def stored_arrays(
    run: Run, store: Store, protocol: Mapping[str, Any], measure: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return per-item arrays of a measurement besides the bench's metrics, measured now or read back; stored as scores are.

    protocol: plain data that determines the measurement.
    """
    name = hashlib.sha256(canonical({**protocol, "num": run.num}).encode()).hexdigest()[:12]
    items = items_digest(store.records(run.units), run.num)
    arrays = read_arrays(store, name, items)
    if arrays is None:
        arrays = measure()
        with contextlib.suppress(OSError):  # a read-only store
            write_scores(store, name, arrays, {}, {"protocol": dict(protocol), "n": run.num, "items": items})
    return arrays


def score_name(bench: Bench, num: int) -> str:
    """12 hex digits of how the first `num` items are measured, by which code where the bench is a user's own."""
    code = own_code([bench])
    protocol = {**bench.version(), "num": num, **({"code": code} if code else {})}
    return hashlib.sha256(canonical(protocol).encode()).hexdigest()[:12]


def estimate(metric: Metric, arrays: Arrays, unit_of: np.ndarray, cycle: int = 0) -> Estimate:
    """Return a metric of per-item arrays with its error bar; unit_of and cycle: as `units_of` has them."""
    return metric.within(_estimate(metric, arrays, unit_of, cycle))


def _estimate(metric: Metric, arrays: Arrays, unit_of: np.ndarray, cycle: int) -> Estimate:
    if metric.items is not None:
        return of_mean(metric.items(arrays), unit_of, metric.bounds, cycle)
    if metric.influence is not None and turns(unit_of, cycle):
        return of_influence(metric.influence(arrays), unit_of, cycle)
    value = _value(metric)
    if metric.gather is not None:
        return jackknife_merged([metric.gather(part) for part in _by_unit(arrays, unit_of)], value)
    return jackknife(lambda rows: value(_rows(arrays, rows)), unit_of)


def units_of(run: Run) -> tuple[np.ndarray, int]:
    """Return what intervals are over: the unit [N] of each item, and the cycle of classes, to have spread within these.

    Where the bench states clusters, these and 0: they are of one prompt each.
    """
    clusters = run.bench.clusters(run.num)
    return (np.arange(run.num) // run.model.unit, run.bench.cycle) if clusters is None else (clusters, 0)


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
    """Return a minus b on the same items, paired: both resample, or leave out, the same unit."""
    unit_of, cycle = units_of(a.run)
    if metric.items is not None:
        width = None if metric.bounds is None else metric.bounds[1] - metric.bounds[0]
        bounds = None if width is None else (-width, width)
        return of_mean(metric.items(a.arrays) - metric.items(b.arrays), unit_of, bounds, cycle)
    if metric.influence is not None and turns(unit_of, cycle):
        return of_influence(metric.influence(a.arrays) - metric.influence(b.arrays), unit_of, cycle)
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
    """Return the readable records of a run that may be incomplete."""
    found = []
    for unit in sorted(store.stored() & set(run.units)):
        with contextlib.suppress(DamageError):
            found.append(store.record(unit))
    return found


def _rows(arrays: Arrays, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in arrays.items()}


def _by_unit(arrays: Arrays, unit_of: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [_rows(arrays, unit_of == unit) for unit in np.unique(unit_of)]


def _measure(run: Run, store: Store, pool: ScoringPool | None) -> dict[str, np.ndarray]:
    if not run.bench.metrics:  # only checksums were kept
        return {}
    bench = run.bench
    if isinstance(bench, FileBench):
        images = look(store, run.num).check(store.display_path(), run.num, bench.allow_missing, todo_of(store))
        return bench.judge(images, run.num, store.folder / PLACE, answer_here if pool is None else pool.answer)
    if isinstance(bench, FeatureBench):
        return _gathered(run, store, bench)
    chunks = [range(start, min(start + CHUNK, run.num)) for start in range(0, run.num, CHUNK)]
    assert isinstance(bench, MeasuredBench)
    parts = [bench.measure(store.items(chunk), chunk) for chunk in chunks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _gathered(run: Run, store: Store, bench: FeatureBench) -> dict[str, np.ndarray]:
    """Return per-item arrays from stored features, or, if another network extracted those, from features extracted now."""
    identity, records = bench.extractor.identity(), store.records(run.units)
    ends = [min(run.model.unit, run.num - unit * run.model.unit) for unit in run.units]
    if all(record.get("sink") == identity for record in records):
        return bench.gather(lambda: (store.features(unit)[:end] for unit, end in zip(run.units, ends, strict=True)), run.num)
    assert all(record.get("kept", "png") in IMAGES for record in records)  # else the unit would have been sampled again
    # Whole units, as during sampling: another batch may round differently.
    units = ((run.unit(unit).items, end) for unit, end in zip(run.units, ends, strict=True))
    with spooled(bench.extractor.read(store.items(items), "auto")[:end] for items, end in units) as features:
        return bench.gather(features, run.num)


def cost_of(records: Sequence[dict[str, Any]], unit: int) -> Cost:
    """Return the cost of an item from the records of units of `unit` items."""
    seconds, inside = (np.array([record[name] for record in records]) for name in ("seconds", "network_seconds"))
    flops = [record["flops"] for record in records]
    return Cost(
        evaluations=float(np.mean([record["evaluations"] for record in records])),
        flops=None if None in flops else float(np.mean(flops)),
        seconds=float(np.median(seconds)) / unit,
        peak_memory=max(record["peak_memory"] for record in records),
        outside=float(1 - inside.sum() / seconds.sum()),
    )


def effective_of(records: Sequence[dict[str, Any]]) -> Effective:
    """Return the effective guidance scale from the records; each holds the mean over its unit's evaluations and items."""
    facts = [record.get("effective_scale", {"mean": None, "evaluations": 0, "left_out": 0}) for record in records]
    means = np.array([fact["mean"] for fact in facts if fact["mean"] is not None])
    scale = of_mean(means, np.arange(len(means))) if len(means) else None
    evaluations, left_out = (float(np.mean([fact[name] for fact in facts])) for name in ("evaluations", "left_out"))
    return Effective(scale, evaluations, left_out)

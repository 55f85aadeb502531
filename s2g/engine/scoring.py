"""Stored items to scores: measured once, kept beside the samples, estimated with error bars over units."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from s2g.config import canonical
from s2g.engine.atomic import write_bytes, write_json
from s2g.engine.bench import Arrays, Metric
from s2g.engine.run import Run
from s2g.engine.store import Store
from s2g.metrics.statistics import Estimate, Paired, jackknife, jackknife_merged, of_mean

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
class Score:
    """Estimates by metric name, the per-item arrays they come from, and the cost."""

    run: Run
    estimates: dict[str, Estimate]
    arrays: dict[str, np.ndarray]
    cost: Cost


def score(run: Run, store: Store) -> Score:
    """Scores of the run's first `num` items, measured now or read back if they were measured before."""
    name = hashlib.sha256(canonical({**run.bench.version(), "num": run.num}).encode()).hexdigest()[:12]
    array_file, score_file = (store.folder / "scores" / f"{name}{end}" for end in (".npz", ".json"))
    items = range(run.num)
    if array_file.exists() and score_file.exists():
        with np.load(array_file) as stored:
            arrays = dict(stored)
    else:
        arrays = _measure(run, store, items)
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        write_bytes(array_file, stream.getvalue())
    estimates = {metric.name: estimate(metric, arrays, _units(run)) for metric in run.bench.metrics}
    cost = _cost(run, store)
    if not score_file.exists():
        values = {metric: {k: _short(v) for k, v in asdict(e).items()} for metric, e in estimates.items()}
        about = {"protocol": run.bench.version(), "n": run.num, "cost": asdict(cost)}
        write_json(score_file, {"values": values, **about, "scored": datetime.now(UTC).isoformat(timespec="seconds")})
    return Score(run, estimates, arrays, cost)


def estimate(metric: Metric, arrays: Arrays, unit_of: np.ndarray) -> Estimate:
    """A metric of one run's per-item arrays with its error bar over units [N]."""
    if metric.items is not None:
        return of_mean(metric.items(arrays), unit_of)
    value = _value(metric)
    if metric.gather is not None:
        return jackknife_merged([metric.gather(part) for part in _by_unit(arrays, unit_of)], value)
    return jackknife(lambda rows: value(_rows(arrays, rows)), unit_of)


def difference(metric: Metric, a: Score, b: Score) -> Estimate:
    """a minus b on the same items, paired: both are resampled, or leave out, the same unit."""
    unit_of = _units(a.run)
    if metric.items is not None:
        return of_mean(metric.items(a.arrays) - metric.items(b.arrays), unit_of)
    value = _value(metric)
    if metric.gather is not None:
        both = zip(_by_unit(a.arrays, unit_of), _by_unit(b.arrays, unit_of), strict=True)
        parts = [Paired(metric.gather(of_a), metric.gather(of_b)) for of_a, of_b in both]
        return jackknife_merged(parts, lambda pair: value(pair.a) - value(pair.b))
    return jackknife(lambda rows: value(_rows(a.arrays, rows)) - value(_rows(b.arrays, rows)), unit_of)


def _value(metric: Metric) -> Callable[[Any], float]:
    assert metric.value is not None
    return metric.value


def _units(run: Run) -> np.ndarray:
    return np.arange(run.num) // run.model.unit


def _rows(arrays: Arrays, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in arrays.items()}


def _by_unit(arrays: Arrays, unit_of: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [_rows(arrays, unit_of == unit) for unit in np.unique(unit_of)]


def _measure(run: Run, store: Store, items: range) -> dict[str, np.ndarray]:
    parts = [
        run.bench.measure(store.images(chunk), chunk) for chunk in (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _cost(run: Run, store: Store) -> Cost:
    records = [store.record(unit) for unit in run.units]
    seconds = float(np.median([record["seconds"] for record in records])) / run.model.unit
    evaluations, flops = (float(np.mean([record[name] for record in records])) for name in ("evaluations", "flops"))
    return Cost(evaluations, flops, seconds, 0, 0.0)


def _short(value: float | int | None) -> float | int | None:
    return float(f"{value:.9g}") if isinstance(value, float) else value

"""Stored items to scores: measured once, kept beside the samples, estimated with error bars over units."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np

from s2g.config import canonical
from s2g.engine.atomic import write_bytes, write_json
from s2g.engine.bench import Metric
from s2g.engine.run import Run
from s2g.engine.store import Store
from s2g.metrics.statistics import Estimate, jackknife

CHUNK = 64  # items measured at once


@dataclass(frozen=True)
class Cost:
    """What an item cost: network evaluations, FLOPs, and seconds (median unit, shared by its items)."""

    evaluations: float
    flops: float
    seconds: float


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
    unit_of = np.array(items) // run.model.unit
    estimates = {metric.name: jackknife(_on(metric, arrays), unit_of) for metric in run.bench.metrics}
    cost = _cost(run, store)
    if not score_file.exists():
        values = {metric: {k: _short(v) for k, v in asdict(e).items()} for metric, e in estimates.items()}
        about = {"protocol": run.bench.version(), "n": run.num, "cost": asdict(cost)}
        write_json(score_file, {"values": values, **about, "scored": datetime.now(UTC).isoformat(timespec="seconds")})
    return Score(run, estimates, arrays, cost)


def difference(metric: Metric, a: Score, b: Score) -> Estimate:
    """a minus b on the same items, paired: both leave out the same unit."""
    unit_of = np.arange(a.run.num) // a.run.model.unit
    of_a, of_b = _on(metric, a.arrays), _on(metric, b.arrays)
    return jackknife(lambda rows: of_a(rows) - of_b(rows), unit_of)


def _on(metric: Metric, arrays: dict[str, np.ndarray]) -> Callable[[np.ndarray], float]:
    return lambda rows: metric.value({name: values[rows] for name, values in arrays.items()})


def _measure(run: Run, store: Store, items: range) -> dict[str, np.ndarray]:
    parts = [
        run.bench.measure(store.images(chunk), chunk) for chunk in (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _cost(run: Run, store: Store) -> Cost:
    records = [store.record(unit) for unit in run.units]
    seconds = float(np.median([record["seconds"] for record in records])) / run.model.unit
    evaluations, flops = (float(np.mean([record[name] for record in records])) for name in ("evaluations", "flops"))
    return Cost(evaluations, flops, seconds)


def _short(value: float | int | None) -> float | int | None:
    return float(f"{value:.9g}") if isinstance(value, float) else value

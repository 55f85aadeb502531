"""From scores to the lines of a table: values, paired differences, cost; and how its columns are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from s2g.engine.bench import Metric, PlannedBench
from s2g.engine.resolve import Outline, outline
from s2g.engine.run import Run
from s2g.errors import unknown
from s2g.experiments.composition import compose_row, named
from s2g.experiments.pooled import apart, pooled, scaled
from s2g.experiments.results import RUN, Cell, ResultRow, numbers
from s2g.experiments.specification import Profile, RunSpec
from s2g.metrics.likeness import LIKENESS
from s2g.metrics.statistics import Estimate, of_mean
from s2g.metrics.trajectories import WAYS
from s2g.scoring.score import CHUNK, Score, difference, estimate, stored_arrays
from s2g.store.score_files import items_digest
from s2g.store.store import Store


def columns_of(profile: Profile, rows: Sequence[RunSpec]) -> dict[str, dict[str, Any]]:
    """Label, direction and digits of each column, as its bench says; UserError for a metric that it has not."""
    found, benches = {}, {}
    for spec in rows:
        if spec.bench not in benches:
            raw = compose_row(spec)
            with named(spec):
                bench = outline(raw).bench
            known = bench.columns if isinstance(bench, PlannedBench) else {m.name: m for m in bench.metrics}
            benches[spec.bench] = {**known, **LIKENESS, **WAYS}
    for name, column in profile.columns.items():
        known = benches[column.bench or rows[0].bench]
        if column.metric not in known:
            raise unknown(f"{column.where}: columns.{name}.metric", column.metric, known)
        about = known[column.metric]
        higher = about.higher if column.over in ("", "mean") else False
        digits = about.digits if column.digits is None else column.digits
        found[name] = {"label": column.label or about.label, "higher": higher, "digits": digits}
    return found


def measure(
    profile: Profile, rows: Sequence[RunSpec], scores: Mapping[int, Score], why: Mapping[int, str], root: str
) -> tuple[ResultRow, ...]:
    """A line for each row of each group, its benches together; differences to the row that is compared with."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, spec in enumerate(rows):
        places.setdefault((spec.group, spec.row), []).append(place)
    found = []
    for (group, row), at in places.items():
        first = rows[at[0]]
        have = [place for place in at if place in scores]
        compared = [p for p in places.get((group, profile.reference(row)), []) if p in scores]
        cells: dict[str, Cell] = {}
        for bench in dict.fromkeys(rows[place].bench for place in have):
            runs = [scores[place] for place in have if rows[place].bench == bench]
            cells |= cells_of(profile, bench, runs, [scores[p] for p in compared if rows[p].bench == bench], root)
        status = RUN if len(have) == len(at) else "; ".join(dict.fromkeys(why[place] for place in at if place in why))
        typed = [override for override in first.overrides if override != "bench=shapes"]  # the default
        line = ResultRow(group, row, first.label, " ".join(["python run.py", *typed]), status)
        if have:
            one = scores[have[0]]
            line = replace(
                line,
                keys=keys_of(rows, {place: scores[place].run for place in have}),
                against=profile.reference(row),
                n=one.run.num,
                units=len(one.run.units),
                runs=sum(rows[place].bench == rows[have[0]].bench for place in have),
                cells=cells,
                effective_scale=None if one.effective.scale is None else numbers(one.effective.scale),
                evaluations=one.cost.evaluations,
                flops=None if one.cost.flops is None else float(f"{one.cost.flops:.6g}"),
                seconds=float(f"{one.cost.seconds:.3g}"),
            )
        found.append(line)
    return tuple(found)


def cells_of(profile: Profile, bench: str, runs: Sequence[Score], references: Sequence[Score], root: str) -> dict[str, Cell]:
    """The cells of one row on one bench, by column; differences where both are as many runs of the same items."""
    metrics = {metric.name: metric for metric in runs[0].run.bench.metrics}
    if any(column.metric in WAYS for column in profile.columns.values()):
        runs, references = (with_ways(found, root) for found in (runs, references))
    own = runs[0].run
    paired = len(runs) == len(references) and all(
        a.run.num == b.run.num and a.run.key != b.run.key for a, b in zip(runs, references, strict=True)
    )
    other = references[0] if paired and len(runs) == 1 else None
    remarks = tuple(dict.fromkeys(remark for one in runs for remark in one.remarks))
    cells = {}
    for name, column in profile.columns.items():
        if column.bench not in ("", bench):
            continue
        if column.metric in LIKENESS:
            if other is not None:
                cells[name] = Cell.of(alike(column.metric, own, other.run, root), None)
            continue
        metric = metrics[column.metric] if column.metric not in WAYS else way(column.metric)
        said = () if column.metric in WAYS else remarks
        if column.over:
            found = pooled(column.over, metric, runs)
            delta = apart(metric, runs, references) if paired and column.over == "mean" else None
        else:
            found = runs[0].estimates[metric.name]
            delta = None if other is None else difference(metric, runs[0], other)
        if found is not None:
            found, delta = (one and scaled(one, column.over, column.scale) for one in (found, delta))
            assert found is not None
            cells[name] = Cell.of(found, delta, said)
    return cells


def way(name: str) -> Metric:
    """How the way from noise to data is measured, as a metric of its own arrays."""
    return Metric(name, WAYS[name].label, WAYS[name].higher, WAYS[name].digits, items=lambda of: of[name])


def with_ways(scores: Sequence[Score], root: str) -> list[Score]:
    """Scores with what is measured of every item's way; it is sampled again for that, once."""
    found = []
    for one in scores:

        def measure(run: Run = one.run) -> dict[str, np.ndarray]:
            from s2g.engine.trajectory import trajectories

            states = trajectories(run, run.num)
            return {name: about.of(states) for name, about in WAYS.items()}

        arrays = stored_arrays(one.run, Store.of(one.run, root), {"ways": {n: w.version for n, w in WAYS.items()}}, measure)
        unit_of, cycle = np.arange(one.run.num) // one.run.model.unit, one.run.bench.cycle
        values = {name: estimate(way(name), arrays, unit_of, cycle) for name in WAYS}
        found.append(replace(one, arrays={**one.arrays, **arrays}, estimates={**one.estimates, **values}))
    return found


def alike(name: str, run: Run, other: Run, root: str) -> Estimate:
    """How alike the images or videos of two runs are, item by item, as a mean with its interval over units."""
    store, others = Store.of(run, root), Store.of(other, root)

    def measure() -> dict[str, np.ndarray]:
        parts = []
        for start in range(0, run.num, CHUNK):
            items = range(start, min(start + CHUNK, run.num))
            parts.append(LIKENESS[name].of(store.items(items), others.items(items)))
        return {name: np.concatenate(parts)}

    to = {"run": other.key, "items": items_digest(others.records(other.units), other.num)}
    values = stored_arrays(run, store, {"likeness": name, "version": LIKENESS[name].version, "to": to}, measure)[name]
    return of_mean(values, np.arange(run.num) // run.model.unit, cycle=run.bench.cycle)


def keys_of(rows: Sequence[RunSpec], runs: Mapping[int, Run | Outline]) -> dict[str, str]:
    """Keys by bench; of a row that is several runs, the second one's is BENCH 2. What is counted without weights has none."""
    found: dict[str, str] = {}
    for place, run in runs.items():
        if isinstance(run, Outline):
            continue
        count = 1 + sum(name.partition(" ")[0] == rows[place].bench for name in found)
        found[rows[place].bench + (f" {count}" if count > 1 else "")] = run.key
    return found

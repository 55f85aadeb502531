"""Knobs by one rule for every method, on the tuning seed; and what it takes to match strength and cost."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from s2g.config.schema import ExecutorConfig
from s2g.engine.environment import machine
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.matching import brought_to, steps_of_equal_cost
from s2g.experiments.tuning_specification import Knobs, Row, TuningSpec, read_tuning
from s2g.io.atomic import write_bytes
from s2g.report.tables import console_table, heading, scale_of, with_interval
from s2g.scoring.score import Score, score
from s2g.store.locks import in_use
from s2g.store.store import Store

NOTE = "# Written by make tune-{name}: knobs chosen, and scales and costs measured, on the tuning seed. Not edited by hand.\n"


@dataclass(frozen=True)
class Laboratory:
    """Makes and scores runs, several at once."""

    executor: LocalExecutor
    root: str
    console: Console

    def scores(self, runs: list[Run]) -> list[Score]:
        """Scores of runs, sampled where they are missing."""
        made = execute(runs, self.root, self.executor, True, self.console)
        found = []
        for run in runs:
            made.check(run)
            store = Store.of(run, self.root)
            with in_use(store.folder):
                found.append(score(run, store))
        return found


def chosen_path(path: Path) -> Path:
    """Where the choices of an experiment's YAML lie: NAME.chosen.yaml beside it."""
    return path.with_suffix(".chosen.yaml")


def tune(path: Path, root: str, workers: int | None) -> None:
    """Choose what an experiment's YAML leaves open, print what was tried, and write NAME.chosen.yaml beside it."""
    experiment, console = read_tuning(path), Console(highlight=False)
    console.width = max(console.width, 120)  # a pipe has no width of its own, and rich would fold at 80 columns
    chosen: dict[str, dict[str, Any]] = {}
    with LocalExecutor(ExecutorConfig(workers=workers)) as executor:
        laboratory = Laboratory(executor, root, console)
        for rows in stages(experiment.rows):
            tried = {row: candidates(experiment, row, chosen, laboratory) for row in rows}
            runs = {row: [run_of(experiment, row, about) for about in tried[row]] for row in rows}
            laboratory.scores([run for of_row in runs.values() for run in of_row])  # all at once keeps every worker busy
            for row in rows:
                scores = laboratory.scores(runs[row])
                best = best_of(scores, experiment.tune.metric)
                console.print(tried_table(experiment.rows[row], tried[row], scores, best))
                chosen[row] = {**tried[row][best], **measured(scores[best])}
    about = {
        "made": {
            "command": f"make tune-{path.stem}",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": machine(),
            "seed": experiment.tune.seed,
            "num": experiment.tune.num,
            "rule": f"best {experiment.tune.metric}",
        },
        "rows": chosen,
    }
    write_bytes(chosen_path(path), (NOTE.format(name=path.stem) + OmegaConf.to_yaml(OmegaConf.create(about))).encode())
    console.print(f"written: {chosen_path(path)}", soft_wrap=True)


def stages(rows: Mapping[str, Row]) -> list[list[str]]:
    """Rows in the order in which they can be chosen; UserError if they wait for each other."""
    left, done, found = list(rows), set(), []
    while left:
        ready = [row for row in left if rows[row].waits_for() <= done]
        if not ready:
            raise UserError(f"rows {', '.join(left)}: each takes over from another one of them")
        found.append(ready)
        done |= set(ready)
        left = [row for row in left if row not in done]
    return found


def candidates(experiment: TuningSpec, name: str, chosen: Mapping[str, Any], laboratory: Laboratory) -> list[dict[str, Any]]:
    """What to try for one row, {knobs, sampler}: the product of what it lists, over what it states and takes over."""
    row = experiment.rows[name]
    taken: dict[str, Any] = dict(chosen[row.like]["knobs"]) if row.like else {}
    if row.over:
        taken.pop("scale", None)  # the base keeps its own strength
        taken |= {"base": experiment.rows[row.over].guidance, "base_args": dict(chosen[row.over]["knobs"])}
    values = itertools.product(*row.choose.values())
    tried = [
        {"knobs": {**taken, **row.knobs, **dict(zip(row.choose, picked, strict=True))}, "sampler": {}} for picked in values
    ]
    return [matched(experiment, name, about, chosen, laboratory) for about in tried] if row.match else tried


def matched(
    experiment: TuningSpec, name: str, about: dict[str, Any], chosen: Mapping[str, Any], laboratory: Laboratory
) -> dict[str, Any]:
    """A row's knobs and sampler with its match resolved to plain numbers."""
    row, knobs = experiment.rows[name], about["knobs"]
    steps = run_of(experiment, name, about).sampler.steps
    for kind, cost in (("nfe", "evaluations"), ("flops", "gflops")):
        if kind in row.match:
            own = chosen[row.like or experiment.against][cost]
            return {**about, "sampler": {"steps": steps_of_equal_cost(chosen[row.match[kind]][cost], own, steps)}}
    target = chosen[row.match["scale"]]["effective_scale"]
    if target is None:
        raise UserError(
            f"rows.{name}.match.scale = {row.match['scale']}: that row has no effective scale", todo="name another row"
        )
    if "by" not in row.match:  # CFG's effective scale is its scale: nothing is to be sought
        return {**about, "knobs": {**knobs, "scale": round(target, 2)}}
    by, (low, high) = row.match["by"], row.match["between"]

    def scale_at(value: float) -> float:
        run = run_of(experiment, name, {**about, "knobs": {**knobs, by: value}}, experiment.tune.strength_num)
        return laboratory.scores([run])[0].effective.value

    return {**about, "knobs": {**knobs, by: brought_to(target, scale_at, low, high)}}


def run_of(experiment: TuningSpec, name: str, about: Mapping[str, Any], num: int | None = None) -> Run:
    """A row's run on the tuning seed."""
    return experiment.run(experiment.rows[name].guidance, about["knobs"], experiment.tune, num, about["sampler"])


def best_of(scores: list[Score], metric: str) -> int:
    """Which of the scores is best by one metric; the first of equals."""
    higher = next(m.higher for m in scores[0].run.bench.metrics if m.name == metric)
    values = [score.estimates[metric].value for score in scores]
    return values.index(max(values) if higher else min(values))


def tried_table(row: Row, tried: list[dict[str, Any]], scores: list[Score], best: int) -> Table:
    """What was tried for one row; an arrow at what was chosen."""
    metrics = [metric for metric in scores[0].run.bench.metrics if metric.main]
    lines = [
        [
            ("→ " if place == best else "  ") + words({**about["knobs"], **about["sampler"]}),
            *(with_interval(score.estimates[metric.name], metric.digits) for metric in metrics),
            scale_of(score.effective),
        ]
        for place, (about, score) in enumerate(zip(tried, scores, strict=True))
    ]
    return console_table([row.label, *(heading(metric) for metric in metrics), "eff. scale"], lines)


def words(knobs: Knobs) -> str:
    """Knobs as one would type them."""
    return " ".join(f"{name}={value}" for name, value in knobs.items() if not isinstance(value, Mapping))


def measured(score: Score) -> dict[str, Any]:
    """What matching needs to know of a row, as plain numbers."""
    scale = score.effective.scale
    return {
        "effective_scale": None if scale is None else round(scale.value, 3),
        "evaluations": score.cost.evaluations,
        "gflops": round(score.cost.flops / 1e9, 4),
    }

"""Choose knobs by one rule for every method on the tuning seed, and match strength and cost."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from s2g.engine.environment import machine
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.file_shape import ChosenShape
from s2g.experiments.matching import brought_to, steps_of_equal_cost
from s2g.experiments.tuning_specification import Row, TuningSpec
from s2g.experiments.yaml_lines import Located
from s2g.scoring.score import Score

Produce = Callable[[list[Run]], list[Score]]  # samples what is missing and scores
NOTE = "# Written by make tune-{name}: knobs chosen, and scales and costs measured, on the tuning seed. Not edited by hand.\n"


def chosen_path(path: Path) -> Path:
    """Where the choices of an experiment's YAML lie: NAME.chosen.yaml beside it."""
    return path.with_suffix(".chosen.yaml")


@dataclass(frozen=True)
class Choice:
    """What was tried for one row, the scores, and the index of the best."""

    row: str
    tried: Sequence[dict[str, Any]]  # knobs, sampler
    scores: Sequence[Score]
    best: int

    @property
    def chosen(self) -> dict[str, Any]:
        """The best knobs and sampler, with the costs and scale that other rows match."""
        return {**self.tried[self.best], **measured(self.scores[self.best])}


def choose(experiment: TuningSpec, produce: Produce, kept: Mapping[str, Any] | None = None) -> Iterator[Choice]:
    """Choose the open knobs of every row on the tuning seed, in the order the rows depend on each other.

    kept: rows that were chosen before, as NAME.chosen.yaml holds them; nothing is tried for them.
    """
    chosen: dict[str, Any] = dict(kept or {})
    for stage in stages(experiment.rows):
        rows = [row for row in stage if row not in chosen]
        tried = {row: candidates(experiment, row, chosen, produce) for row in rows}
        runs = {row: [run_of(experiment, row, about) for about in tried[row]] for row in rows}
        scores = iter(produce([run for of_row in runs.values() for run in of_row]))  # all at once keeps every worker busy
        for row in rows:
            own = list(itertools.islice(scores, len(runs[row])))
            choice = Choice(row, tried[row], own, best_of(own, experiment.tune.metric))
            chosen[row] = choice.chosen
            yield choice


def choices_yaml(name: str, experiment: TuningSpec, chosen: Mapping[str, Any], kept: Mapping[str, Any] | None = None) -> str:
    """Return the content of NAME.chosen.yaml.

    kept: the whole content before, of a tuning that left its rows as they were; each new row then says when it was made.
    """
    made = {
        "command": f"make tune-{name}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "seed": experiment.tune.seed,
        "num": experiment.tune.num,
        "rule": f"best {experiment.tune.metric}",
    }
    rows = dict(chosen)
    if kept is not None:
        rows = {**kept["rows"], **{row: {**about, "made": made} for row, about in chosen.items()}}
        made = kept["made"]
    return NOTE.format(name=name) + OmegaConf.to_yaml(OmegaConf.create({"made": made, "rows": rows}))


def chosen_before(path: Path, experiment: TuningSpec) -> dict[str, Any]:
    """Return the content of NAME.chosen.yaml, of which rows are kept; UserError if they were chosen by another rule."""
    file = Located.of(chosen_path(path), todo=f"make tune-{path.stem}")
    file.check(ChosenShape)
    tune, made = experiment.tune, file.content["made"]
    rule = {"seed": tune.seed, "num": tune.num, "rule": f"best {tune.metric}"}
    if differing := [key for key, value in rule.items() if made[key] != value]:
        raise UserError(f"{chosen_path(path)}: chosen with another {', '.join(differing)}", todo=f"make tune-{path.stem}")
    return dict(file.content)


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


def candidates(experiment: TuningSpec, name: str, chosen: Mapping[str, Any], produce: Produce) -> list[dict[str, Any]]:
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
    return [matched(experiment, name, about, chosen, produce) for about in tried] if row.match else tried


def matched(
    experiment: TuningSpec, name: str, about: dict[str, Any], chosen: Mapping[str, Any], produce: Produce
) -> dict[str, Any]:
    """A row's knobs and sampler with its match resolved to plain numbers."""
    row, knobs = experiment.rows[name], about["knobs"]
    steps = run_of(experiment, name, about).sampler.steps
    for kind, cost in (("nfe", "evaluations"), ("flops", "gflops")):
        if kind in row.match:
            own, other = chosen[row.like or experiment.against][cost], chosen[row.match[kind]][cost]
            if own is None or other is None:
                raise UserError(f"rows.{name}.match.{kind}: FLOPs are not counted", todo="match: {nfe: ROW}")
            return {**about, "sampler": {"steps": steps_of_equal_cost(other, own, steps)}}
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
        return produce([run])[0].effective.value

    return {**about, "knobs": {**knobs, by: brought_to(target, scale_at, low, high)}}


def run_of(experiment: TuningSpec, name: str, about: Mapping[str, Any], num: int | None = None) -> Run:
    """A row's run on the tuning seed."""
    return experiment.run(experiment.rows[name].guidance, about["knobs"], experiment.tune, num, about["sampler"])


def best_of(scores: list[Score], metric: str) -> int:
    """Which of the scores is best by one metric; the first of equals."""
    higher = next(m.higher for m in scores[0].run.bench.metrics if m.name == metric)
    values = [score.estimates[metric].value for score in scores]
    return values.index(max(values) if higher else min(values))


def measured(score: Score) -> dict[str, Any]:
    """What matching needs to know of a row, as plain numbers."""
    scale = score.effective.scale
    return {
        "effective_scale": None if scale is None else round(scale.value, 3),
        "evaluations": score.cost.evaluations,
        "gflops": None if score.cost.flops is None else round(score.cost.flops / 1e9, 4),
    }

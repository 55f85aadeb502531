"""Published numbers as presets that end in pass or fail: configs/reproduce.yaml, and every cell of the paper's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s2g.config.coerce import coerce, only
from s2g.config.compose import compose_config
from s2g.config.schema import config_dir
from s2g.engine.bench import Bench, Metric
from s2g.engine.resolve import outline
from s2g.errors import UserError, unknown
from s2g.experiments.specification import ExperimentSpec, RunSpec, run_specs, word
from s2g.experiments.specification_file import experiment_files, read_experiment
from s2g.io.yaml_files import read_yaml
from s2g.metrics.statistics import Estimate
from s2g.scoring.score import Score, difference

PLACES = ("model.weights", "model.vae", "model.base", "guidance.weak")  # beside those of the bench and executor.*


@dataclass(frozen=True)
class Preset:
    """A published number, or several of one run. numbers: metric to (published, tolerance)."""

    name: str
    run: tuple[str, ...]  # what is typed
    numbers: Mapping[str, tuple[float, float]]
    source: str
    row: str = ""  # of one of the paper's tables
    against: str = ""  # the preset of the row that its own is compared with


@dataclass(frozen=True)
class Verdict:
    """A published number beside ours. low, high: our 95 % interval, if there is one."""

    metric: str
    published: float
    tolerance: float
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def passes(self) -> bool:
        """Whether ours lies within the tolerance; nan does not."""
        return abs(self.value - self.published) <= self.tolerance


def read_presets(experiments: Path | None = None, path: Path | None = None) -> dict[str, Preset]:
    """Read the presets of the file, and make those of the paper's tables in `experiments`.

    UserError names what is missing, unknown or no number.
    """
    path = path or config_dir() / "reproduce.yaml"
    raw = read_yaml(path)[0]
    only({"presets", "tolerances"}, raw, path.name)
    found = {name: _read(name, about, path) for name, about in (raw.get("presets") or {}).items()}
    for name, preset in found.items():
        if preset.against and preset.against not in found:
            raise unknown(f"{path.name}: {name}.against", preset.against, found)
    tolerances = {
        metric: coerce(float, value, f"{path.name}: tolerances.{metric}")
        for metric, value in (raw.get("tolerances") or {}).items()
    }
    for file in experiment_files(experiments).values() if experiments is not None else ():
        found |= presets_of(read_experiment(file), tolerances, path.name)
    return found


def presets_of(table: ExperimentSpec, tolerances: Mapping[str, float], place: str) -> dict[str, Preset]:
    """Return the presets of a table's printed numbers, TABLE.GROUP.ROW.BENCH; none where nothing is sampled for it."""
    profile = table.profiles.get("paper")
    if profile is None or profile.study:
        return {}
    found = {}
    for row in run_specs(profile):
        columns = {name: one for name, one in table.columns.items() if one.bench == row.bench and not one.over}
        printed = {one.metric: table.printed(row.group, row.row, name) for name, one in columns.items()}
        numbers = {metric: number for metric, number in printed.items() if number is not None}
        if not numbers or row.match:
            continue
        if lacking := [metric for metric in numbers if metric not in tolerances]:
            raise UserError(f"{place}: tolerances.{lacking[0]}: missing, and {table.name} prints it")
        judged = {metric: (number, tolerances[metric]) for metric, number in numbers.items()}
        preset = Preset(_name(table, row, row.row), typed_of(row, numbers), judged, table.source, row.row)
        reference = _name(table, row, profile.reference(row.row))
        found[preset.name] = replace(preset, against="" if reference == preset.name else reference)
    return {name: replace(one, against=one.against if one.against in found else "") for name, one in found.items()}


def typed_of(row: RunSpec, metrics: Iterable[str]) -> tuple[str, ...]:
    """Return a row's run as typed, scored by these metrics alone where it names others that the paper does not print."""
    given = {**row.set, "bench.score": list(metrics)} if "bench.score" in row.set else row.set
    return tuple(f"{key}={word(value)}" for key, value in given.items())


def _name(table: ExperimentSpec, row: RunSpec, name: str) -> str:
    return f"{table.name}.{row.group}.{name}.{row.bench}"


def find_preset(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Return a preset by name; UserError with the nearest name if there is none."""
    if name not in presets:
        raise unknown("preset", name, presets, todo="s2g reproduce lists them")
    return presets[name]


def _read(name: str, about: Any, path: Path) -> Preset:
    place = f"{path.name}: {name}"
    if not isinstance(about, Mapping) or not {"run", "numbers", "source"} <= set(about):
        raise UserError(f"{place}: not a preset", allowed="run, numbers and source")
    only({"run", "numbers", "source", "against"}, about, place)
    if not isinstance(about["numbers"], Mapping) or not about["numbers"]:
        raise UserError(f"{place}.numbers = {about['numbers']}", allowed="METRIC: [PUBLISHED, TOLERANCE]")
    numbers = {}
    for metric, pair in about["numbers"].items():
        bounds = coerce(tuple[float, ...], pair, f"{place}.numbers.{metric}")
        if len(bounds) != 2 or not bounds[1] > 0:
            raise UserError(f"{place}.numbers.{metric} = {pair}", allowed="[PUBLISHED, TOLERANCE], the second above 0")
        numbers[metric] = (bounds[0], bounds[1])
    return Preset(name, tuple(str(about["run"]).split()), numbers, str(about["source"]), against=str(about.get("against", "")))


def check_preset(preset: Preset, typed: Iterable[str] = ()) -> None:
    """Raise UserError for a preset whose run cannot be composed, whose bench does not measure its metrics, or that is changed.

    typed: what the user adds to its run: where files lie, and what computes it.
    """
    raw = compose_config(*preset.run)
    about = outline(raw)
    if about.unbuilt is not None:
        raise about.unbuilt
    measured = [metric.name if isinstance(metric, Metric) else metric for metric in about.bench.metrics]
    lacking = [metric for metric in preset.numbers if metric not in measured]
    if lacking:
        raise UserError(
            f"preset {preset.name}: bench={raw['bench']['name']} does not measure {lacking[0]}", allowed=", ".join(measured)
        )
    places = [*PLACES, *(f"bench.{key}" for key in about.bench.files)] if isinstance(about.bench, Bench) else PLACES
    for one in typed:
        key = one.partition("=")[0]
        if key not in places and key.split(".")[0] != "executor":
            raise UserError(
                f"preset {preset.name}: {one}: would make another run than the published one",
                allowed=f"executor=NAME, executor.KEY=VALUE, and files: {', '.join(places)}",
                todo=f"python run.py {' '.join(preset.run)} {one}",
            )


def judge(preset: Preset, estimates: Mapping[str, Estimate]) -> list[Verdict]:
    """Hold a run's estimates against the published numbers; UserError for one that was not measured."""
    missing = [metric for metric in preset.numbers if metric not in estimates]
    if missing:
        raise UserError(f"preset {preset.name}: {missing[0]} was not measured", allowed=", ".join(estimates))
    found = []
    for metric, (published, tolerance) in preset.numbers.items():
        ours = estimates[metric]
        found.append(Verdict(metric, published, tolerance, ours.value, ours.low, ours.high))
    return found


def judge_differences(preset: Preset, other: Preset, score: Score, reference: Score) -> list[Verdict]:
    """Hold paired differences from the reference's run against the published ones, each allowed to be off by itself.

    Both numbers can lie within their tolerances while the order of the two methods is the other way round: a difference
    off by no more than itself has the published sign.
    """
    metrics = {metric.name: metric for metric in score.run.bench.metrics}
    found = []
    for name, (number, _) in preset.numbers.items():
        published = number - other.numbers[name][0] if name in other.numbers else 0.0
        if round(published, 6):
            ours = difference(metrics[name], score, reference)
            label = f"{name} - {other.name}'s"
            found.append(Verdict(label, round(published, 6), abs(round(published, 6)), ours.value, ours.low, ours.high))
    return found

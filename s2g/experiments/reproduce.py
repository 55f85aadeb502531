"""Published numbers as presets that end in pass or fail: configs/reproduce.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.config.coerce import coerce, only
from s2g.config.compose import compose_config
from s2g.config.schema import config_dir
from s2g.engine.bench import Metric
from s2g.engine.resolve import outline
from s2g.errors import UserError, unknown
from s2g.io.yaml_files import read_yaml
from s2g.metrics.statistics import Estimate


@dataclass(frozen=True)
class Preset:
    """A published number, or several of one run. numbers: metric to (published, tolerance)."""

    name: str
    run: tuple[str, ...]  # what is typed
    numbers: Mapping[str, tuple[float, float]]
    source: str


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


def read_presets(path: Path | None = None) -> dict[str, Preset]:
    """Read the presets; UserError names what is missing, unknown or no number."""
    path = path or config_dir() / "reproduce.yaml"
    return {name: _read(name, about, path) for name, about in read_yaml(path)[0].items()}


def find_preset(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Return a preset by name; UserError with the nearest name if there is none."""
    if name not in presets:
        raise unknown("preset", name, presets, todo="s2g reproduce lists them")
    return presets[name]


def _read(name: str, about: Any, path: Path) -> Preset:
    place = f"{path.name}: {name}"
    if not isinstance(about, Mapping) or not {"run", "numbers", "source"} <= set(about):
        raise UserError(f"{place}: not a preset", allowed="run, numbers and source")
    only({"run", "numbers", "source"}, about, place)
    if not isinstance(about["numbers"], Mapping) or not about["numbers"]:
        raise UserError(f"{place}.numbers = {about['numbers']}", allowed="METRIC: [PUBLISHED, TOLERANCE]")
    numbers = {}
    for metric, pair in about["numbers"].items():
        bounds = coerce(tuple[float, ...], pair, f"{place}.numbers.{metric}")
        if len(bounds) != 2 or not bounds[1] > 0:
            raise UserError(f"{place}.numbers.{metric} = {pair}", allowed="[PUBLISHED, TOLERANCE], the second above 0")
        numbers[metric] = (bounds[0], bounds[1])
    return Preset(name, tuple(str(about["run"]).split()), numbers, str(about["source"]))


def check_preset(preset: Preset) -> None:
    """Raise UserError for a preset whose run cannot be composed, or whose bench does not measure its metrics."""
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

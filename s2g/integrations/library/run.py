"""`s2g.run("guidance=s2", num=64)`: what `python run.py guidance=s2 num=64` does, as a value. Same key, same store."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from s2g.config.compose import COMPOSITION_ERRORS, compose_config, explain_composition
from s2g.engine.pool import Pool
from s2g.engine.resolve import resolve
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.produce import produce
from s2g.metrics.statistics import Estimate
from s2g.scoring.score import Score, difference, unpaired
from s2g.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image


@dataclass(frozen=True)
class Result:
    """A run that has been made: its items and their scores, read from the store when they are asked for."""

    score: Score
    root: str  # folder of the stored runs

    @property
    def run(self) -> Run:
        """The run, with everything resolved."""
        return self.score.run

    @property
    def key(self) -> str:
        """Its key: the name of its folder in the store."""
        return self.run.key

    @property
    def values(self) -> dict[str, Estimate]:
        """Each metric with its 95 % interval."""
        return self.score.estimates

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """One entry for each item: number, prompt, file in the run's folder, sha256."""
        store, bench, count = Store.of(self.run, self.root), self.run.bench, self.run.num
        entries = [entry for record in store.records(self.run.units) for entry in record["items"]][:count]
        prompts = bench.prompts(range(count))
        return [
            {"item": number, "prompt": prompt, "caption": bench.caption(number), **entry}
            for number, (prompt, entry) in enumerate(zip(prompts, entries, strict=True))
        ]

    @cached_property
    def pixels(self) -> np.ndarray:
        """The items: uint8 [N, H, W, 3] images, [N, F, H, W, 3] videos, or float32 [N, D] points."""
        return Store.of(self.run, self.root).items(range(self.run.num))

    @property
    def images(self) -> list[Image]:
        """The items as images; UserError for videos and points."""
        from PIL import Image

        if self.pixels.ndim != 4:
            raise UserError(f"{self.key}: its items are no images", todo="take .pixels")
        return [Image.fromarray(pixels) for pixels in self.pixels]

    @property
    def scores(self) -> pd.DataFrame:
        """What was measured of each item, a row for each."""
        import pandas as pd  # slow to import, and only tables need it

        arrays, count = self.score.arrays, self.run.num
        read = {name: values for name, values in arrays.items() if values.ndim == 1 and len(values) == count}
        measured = {metric.name: metric.items(arrays) for metric in self.run.bench.metrics if metric.items is not None}
        return pd.DataFrame(read | measured, index=pd.RangeIndex(self.run.num, name="item"))

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {found.value:.4g}" for name, found in self.values.items())
        return f"{self.key}, n = {self.run.num}: {shown or 'not scored'}"


def run(*overrides: str, runs: str = "runs", workers: int = 1, quiet: bool = True, **knobs: Any) -> Result:
    """Make a run, sampling what the store below `runs` lacks, and score it.

    overrides: as on the command line, "model=tiny_sit", "guidance.omega=0.3"; knobs: such as num=64 and seed=1. workers: 1 is
    this process; more are processes of their own, for which a script needs `if __name__ == "__main__":`. The samples do
    not depend on it. UserError says what is wrong with the overrides, or missing.
    """
    return _made([_resolved(overrides, knobs, runs)], runs, workers, quiet)[0]


def _resolved(overrides: Sequence[str], knobs: Mapping[str, Any], runs: str) -> Run:
    typed = [*overrides, *(f"{name}={value}" for name, value in knobs.items()), f"runs={runs}"]
    try:
        return resolve(compose_config(*typed), fetching=True)[0]
    except COMPOSITION_ERRORS as error:
        raise UserError(explain_composition(error)) from error


def _made(asked: Sequence[Run], root: str, workers: int, quiet: bool) -> list[Result]:
    console = Console(file=io.StringIO()) if quiet else Console(highlight=False)
    with Pool(workers) as pool:
        return [Result(score, root) for score in produce(asked, root, pool, console)]


@dataclass(frozen=True)
class Comparison:
    """Runs against the first of them, paired item by item."""

    results: tuple[Result, ...]
    differences: tuple[dict[str, Estimate], ...]  # of each but the first, by metric, with 95 % intervals

    @property
    def table(self) -> pd.DataFrame:
        """A row for each run and metric: value, interval, difference to the first run and its interval."""
        import pandas as pd

        rows = []
        for number, result in enumerate(self.results):
            for name, found in result.values.items():
                row = {"run": result.key, "metric": name, "value": found.value, "low": found.low, "high": found.high}
                delta = self.differences[number - 1].get(name) if number else None
                more = {} if delta is None else {"delta": delta.value, "delta low": delta.low, "delta high": delta.high}
                rows.append(row | more)
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        first, *others = self.results
        lines = [str(first)]
        for result, deltas in zip(others, self.differences, strict=True):
            shown = ", ".join(f"Δ {name} {_with_bounds(found)}" for name, found in deltas.items())
            lines.append(f"{result.key}: {shown}")
        return "\n".join(lines)


def _with_bounds(found: Estimate) -> str:
    """Return "+0.12 [+0.05, +0.19]"; the value alone where the units are too few for an interval."""
    bounds = "" if found.low is None or found.high is None else f" [{found.low:+.4g}, {found.high:+.4g}]"
    return f"{found.value:+.4g}{bounds}"


def compare(results: Sequence[Result]) -> Comparison:
    """Compare runs of the same items with the first one: differences are paired, since they share their noise.

    UserError if items or seeds differ.
    """
    if len(results) < 2:
        raise UserError(f"compare: {len(results)} runs", allowed="two or more, the first is what the others are compared with")
    first, *others = results
    for other in others:
        if why := unpaired(other.run, first.run):
            raise UserError(f"{other.key} and {first.key}: {why}", todo="run both with the same bench, num and seed")
    metrics = first.run.bench.metrics
    deltas = tuple({m.name: difference(m, other.score, first.score) for m in metrics} for other in others)
    return Comparison(tuple(results), deltas)

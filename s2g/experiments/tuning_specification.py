"""An experiment as data: rows of runs, what is chosen on one seed, what is reported on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s2g.config.compose import compose_config
from s2g.config.schema import read
from s2g.engine.resolve import resolve
from s2g.engine.run import Run
from s2g.errors import UserError, unknown
from s2g.experiments.file_shape import TuningShape
from s2g.experiments.matching import MATCHES, check_match
from s2g.experiments.produce import require_trained
from s2g.experiments.yaml_lines import Located

Knobs = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """The items of one purpose: choosing or reporting. Their seeds differ, or nothing that is chosen can be trusted."""

    seed: int
    num: int
    metric: str = ""  # what is chosen by
    strength_num: int = 0  # items on which an effective scale is sought


@dataclass(frozen=True)
class Row:
    """A method with its knobs: those that are stated, those still to be chosen, and those taken from another row."""

    guidance: str
    label: str
    knobs: Knobs = field(default_factory=dict)
    choose: Knobs = field(default_factory=dict)  # knob -> values; one of their product is chosen
    like: str | None = None  # the row whose chosen knobs are taken over
    over: str | None = None  # the row that is the base method
    match: Knobs = field(default_factory=dict)
    # {nfe: ROW} or {flops: ROW}: with the steps that cost what that row costs; {scale: ROW}, of CFG: at that row's effective
    # scale; {scale: ROW, by: KNOB, between: [LOW, HIGH]}: with the knob that gives that row's effective scale

    def waits_for(self) -> set[str]:
        """Rows that must be chosen before this one."""
        matched = {self.match[key] for key in MATCHES if key in self.match}
        return {name for name in (self.like, self.over) if name} | matched


@dataclass(frozen=True)
class TuningSpec:
    """Model, bench and rows; `against` is the row every difference is taken to."""

    model: str
    bench: str
    against: str
    tune: Part
    report: Part
    rows: Mapping[str, Row]
    sampler: Knobs = field(default_factory=dict)  # of every row, over the model's own

    def run(self, guidance: str, knobs: Knobs, part: Part, num: int | None = None, sampler: Knobs | None = None) -> Run:
        """The run `python run.py model=... guidance=... guidance.KNOB=... seed=... num=...` would make."""
        overrides = [f"model={self.model}", f"guidance={guidance}", f"bench={self.bench}"]
        raw = compose_config(*overrides)
        raw["guidance"] |= knobs
        raw["sampler"] |= {**self.sampler, **(sampler or {})}
        return require_trained(resolve({**raw, "seed": part.seed, "num": num or part.num})[0])


def read_tuning(path: Path) -> TuningSpec:
    """Read and check a file for s2g tune; UserError for what it lacks, and for rows that it names but does not have."""
    file = Located.of(path)
    file.check(TuningShape)
    raw = dict(file.content)
    rows = {row: read(Row, values, f"rows.{row}") for row, values in raw.pop("rows", {}).items()}
    parts = {part: read(Part, raw.pop(part, {}), part) for part in ("tune", "report")}
    if parts["tune"].seed == parts["report"].seed:
        raise UserError(
            f"{path.name}: tune.seed = report.seed = {parts['tune'].seed}", todo="choose on one seed, report another"
        )
    for row, values in rows.items():
        for name in values.waits_for() - set(rows):
            raise unknown(f"rows.{row}", name, rows)
        check_match(values.match, f"rows.{row}.match", values.guidance)
    experiment = TuningSpec(**raw, tune=parts["tune"], report=parts["report"], rows=rows)
    if experiment.against not in rows:
        raise unknown("against", experiment.against, rows)
    return experiment

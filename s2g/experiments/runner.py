"""Run an experiment: resolve its rows to runs, produce their scores, measure the cells of its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from rich.console import Console

from s2g import __version__
from s2g.engine.environment import machine
from s2g.engine.pool import Pool
from s2g.engine.resolve import outline, resolve
from s2g.errors import MissingError, NotBuiltError, SeveralError, UserError, lacks
from s2g.experiments.composition import compose_row, named
from s2g.experiments.matched_rows import match_costs, match_scale, reference_of
from s2g.experiments.measure import columns_of, measure
from s2g.experiments.produce import produce, require_trained, sampled
from s2g.experiments.results import NOT_BUILT, Results
from s2g.experiments.specification import ExperimentSpec, Profile, RunSpec, command_of, run_specs
from s2g.experiments.studies.study import asks_networks
from s2g.experiments.study_rows import lacking_data, measure_study, study_columns
from s2g.metrics.balanced import WITHIN
from s2g.scoring.score import Score, score_name


@dataclass(frozen=True)
class Rows:
    """The rows of a profile; by their index the runs of those that can be run, and the status of the others."""

    specs: list[RunSpec]
    runs: dict[int, Any]  # Run; an Outline where a study needs no weights
    why: dict[int, str]


@dataclass(frozen=True)
class Measured:
    """The results of an experiment and what they were measured on: drawings and galleries read it."""

    results: Results
    rows: Rows
    scores: Mapping[int, Score] = field(default_factory=dict)  # by the index of their row


def resolve_rows(profile: Profile, num: int | None) -> Rows:
    """Resolve every row of a profile, to `num` items if given; UserError for a row that is wrong rather than missing something.

    Rows of a study that asks no network resolve to outlines, which need no weights.
    """
    specs = run_specs(profile)
    if num is not None:
        specs = [replace(spec, set={**spec.set, "num": num}) for spec in specs]
    rows = Rows(match_costs(specs), {}, {})
    weights = not profile.study or asks_networks(profile.study)
    for index, spec in enumerate(rows.specs):
        if not spec.match:  # what is left is brought to another row's scale, which is known once that is scored
            _resolve_row(rows, index, weights)
    return rows


def _resolve_row(rows: Rows, index: int, weights: bool = True) -> None:
    """Resolve one row to its run, or to the reason why it cannot be run."""
    spec = rows.specs[index]
    raw = compose_row(spec)
    try:
        with named(spec):
            if not weights:
                rows.runs[index] = outline(raw)
                return
            run = require_trained(resolve(raw)[0])
            _ = run.key  # hashes the weights, so they must be there
        rows.runs[index] = run
    except NotBuiltError:
        rows.why[index] = NOT_BUILT
    except UserError as error:
        if not lacks(error):
            raise
        rows.why[index] = what_lacks(error, raw["model"])


@contextmanager
def run_experiment(
    experiment: ExperimentSpec, profile: Profile, num: int | None, root: str, pool: Pool, console: Console
) -> Iterator[Measured]:
    """Sample what is missing, score and measure; the runs are marked as in use until the block ends.

    Columns are checked before anything is sampled.
    """
    rows = resolve_rows(profile, num)
    made = {
        "command": command_of(experiment.name, profile.name, num),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "torch": version("torch"),
        "s2g": __version__,
    }
    if profile.study:
        columns = study_columns(profile, rows.specs)
        lacking = lacking_data(profile, rows.specs, rows.runs)
        if lacking and len(lacking) == len(rows.runs):  # nothing could be measured
            raise next(iter(lacking.values()))
        for index, error in lacking.items():
            rows.why[index] = what_lacks(error, {})
            del rows.runs[index]
        measured = measure_study(experiment, profile, rows.specs, rows.runs, rows.why)
        yield Measured(Results(experiment.name, profile.name, num, made, columns, measured), rows)
        return
    made["intervals"] = WITHIN
    columns = columns_of(profile, rows.specs)
    with ExitStack() as used:

        def score_rows(indices: Sequence[int]) -> None:
            # Rows may share a run, and one run may be scored in several ways: by the two scorers of a bench.
            ways = {i: (rows.runs[i].key, score_name(rows.runs[i].bench, rows.runs[i].num)) for i in indices if i in rows.runs}
            distinct = {way: rows.runs[i] for i, way in ways.items()}
            samples = used.enter_context(sampled(list(distinct.values()), root, pool, console))
            by_way = dict(zip(distinct, samples.scores(), strict=True))
            scores.update({index: by_way[way] for index, way in ways.items()})

        scores: dict[int, Score] = {}
        score_rows([index for index, spec in enumerate(rows.specs) if not spec.match])
        for index in [index for index, spec in enumerate(rows.specs) if spec.match]:
            reference = reference_of(rows.specs[index], rows.specs)
            if reference not in scores:
                rows.why[index] = rows.why[reference]
                continue
            rows.specs[index] = match_scale(rows.specs[index], scores[reference], lambda r: produce(r, root, pool, console))
            _resolve_row(rows, index)
            score_rows([index])
        measured = measure(profile, rows.specs, scores, rows.why, root)
        yield Measured(Results(experiment.name, profile.name, num, made, columns, measured), rows, scores)


def what_lacks(error: UserError, model: Mapping[str, Any]) -> str:
    """Return a row's status where something is not on this machine: what, and for a network from where to get it."""
    first = error.errors[0] if isinstance(error, SeveralError) else error
    assert isinstance(first, MissingError)
    if first.kind == "environment":
        return f"environment {first.value}: it is not built"
    if first.kind == "device":
        return f"{first.key} = {first.value}: {first.why}"
    if first.key.startswith("bench."):  # what scores, not what samples
        return f"no file: {first.key} = {first.value}"
    source = str(model.get("source", ""))  # most name the file themselves
    network = source if source.startswith(model["weights"]) else f"{model['weights']}{f' ({source})' * bool(source)}"
    if first.key == "model.vae":
        return f"no decoder: {first.value}; the network: {network}"
    return f"no weights: {network if first.key == 'model.weights' else f'{first.key} = {first.value}'}"

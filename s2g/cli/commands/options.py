"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2g.config.schema import CHECKOUT, ExecutorConfig, read
from s2g.errors import UserError

EXPERIMENTS = CHECKOUT / "experiments"
RESULTS = EXPERIMENTS / "results"

StoredRun = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, its key, or a unique beginning of its key.")]
Runs = Annotated[str, typer.Option(help="Folder that holds the stored runs.")]
Workers = Annotated[int | None, typer.Option(help="Number of worker processes; default: one per core.")]
Executor = Annotated[str, typer.Option(help="local or ray (RAY_ADDRESS: the cluster); its keys follow: 'ray address=auto'.")]
ScoringWorkers = Annotated[int | None, typer.Option(help="Number of worker processes; default: one per core, or one per GPU.")]
FirstImages = Annotated[int | None, typer.Option(min=1, help="Use only the first NUM images; default: all the run asked for.")]
FirstItems = Annotated[int | None, typer.Option(min=2, help="Use only the first NUM items; default: all the run asked for.")]
ItemsPerRow = Annotated[int | None, typer.Option(min=2, help="Items per row; default: the profile's own number.")]
Profile = Annotated[
    str, typer.Option(help="tiny: the built-in models; real: the built-in model of photographs; paper: the paper's models.")
]
Results = Annotated[Path, typer.Option(help="Folder of the measured results.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Score an incomplete set, labeled as partial.")]
BenchKeys = Annotated[
    list[str] | None, typer.Argument(metavar="[BENCH.KEY=VALUE]...", help="Bench settings, e.g. bench.score=[blip,qalign].")
]


def executor_config(typed: str, workers: int | None) -> ExecutorConfig:
    """Return the executor of "NAME [KEY=VALUE ...]" as `python run.py executor=NAME executor.KEY=VALUE` has it; UserError."""
    from s2g.config.compose import COMPOSITION_ERRORS, compose_config, explain_composition  # most commands do without Hydra

    name, *knobs = typed.split() or [""]
    try:
        composed = compose_config(f"executor={name}", *(f"executor.{knob}" for knob in knobs))["executor"]
    except COMPOSITION_ERRORS as error:
        raise UserError(explain_composition(error)) from error
    return read(ExecutorConfig, composed if workers is None else {**composed, "workers": workers}, "executor")

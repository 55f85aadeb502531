"""`s2g reproduce`: a published number, the run that should give it, and whether it does."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import Runs, Workers
from s2g.config.compose import compose_config
from s2g.engine.pool import Pool
from s2g.engine.resolve import resolve
from s2g.experiments.produce import produce, require_trained
from s2g.experiments.reproduce import Preset, Verdict, check_preset, find_preset, judge, read_presets
from s2g.report.tables import console_table


def reproduce(
    name: Annotated[str, typer.Argument(help="Name of a preset; none: list them.")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only print what the run would take.")] = False,
    runs: Runs = "runs",
    workers: Workers = None,
) -> int:
    """Run a preset of configs/reproduce.yaml and print published number, ours and verdict; exit code 1 where one fails."""
    console, presets = Console(highlight=False), read_presets()
    if not name:
        rows = [[preset.name, numbers_of(preset), preset.source] for preset in presets.values()]
        console.print(console_table(["preset", "published", "source"], rows, left=True))
        return 0
    preset = find_preset(name, presets)
    check_preset(preset)
    if plan:
        from s2g.cli.run import main  # hydra, which the list does without

        return main([*preset.run, "plan=true"])
    console.print(f"python run.py {' '.join(preset.run)}", soft_wrap=True)
    run = require_trained(resolve(compose_config(*preset.run), fetching=True)[0])
    with Pool(workers) as pool:
        (score,) = produce([run], runs, pool, console)
    verdicts = judge(preset, score.estimates)
    console.print(
        console_table([preset.name, "published", "ours", "95 %", "off by", "allowed", ""], list(map(row_of, verdicts)))
    )
    console.print(f"published: {preset.source}; run: {run.key}, n = {run.num}", soft_wrap=True)
    for remark in score.remarks:
        console.print(remark, soft_wrap=True)
    return int(not all(verdict.passes for verdict in verdicts))


def numbers_of(preset: Preset) -> str:
    """Return a preset's published numbers and tolerances on one line."""
    return ", ".join(f"{metric} {published:g} +- {tolerance:g}" for metric, (published, tolerance) in preset.numbers.items())


def row_of(verdict: Verdict) -> list[str]:
    """Return a verdict as a row: metric, published, ours, interval, difference, tolerance, pass or fail."""
    interval = "" if verdict.low is None or verdict.high is None else f"[{verdict.low:.6g}, {verdict.high:.6g}]"
    off = verdict.value - verdict.published
    said = "pass" if verdict.passes else "FAIL"
    return [
        verdict.metric,
        f"{verdict.published:g}",
        f"{verdict.value:.6g}",
        interval,
        f"{off:+.3g}",
        f"{verdict.tolerance:g}",
        said,
    ]

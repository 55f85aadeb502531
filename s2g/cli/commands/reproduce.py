"""`s2g reproduce`: published numbers as runs that end in pass or fail."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, Runs, Workers
from s2g.config.compose import compose_config
from s2g.engine.pool import Pool
from s2g.engine.resolve import resolve
from s2g.experiments.produce import produce, require_trained
from s2g.experiments.reproduce import Preset, Verdict, check_preset, find_preset, judge, judge_differences, read_presets
from s2g.report.tables import console_table
from s2g.scoring.comparability import doubts_in


def reproduce(
    name: Annotated[str, typer.Argument(help="Name of a preset; none: list them.")] = "",
    typed: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Where files lie; executor.KEY=VALUE.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what the runs would take.")] = False,
    runs: Runs = "runs",
    workers: Workers = None,
) -> int:
    """Run a published number and print it, ours and the verdict; exit code 1 where one fails or is not comparable.

    Presets are those of configs/reproduce.yaml and the rows of the paper's tables. A row that a table compares with another
    has its paired difference judged, too: its sign must be the published one.
    """
    console, presets = Console(highlight=False), read_presets(EXPERIMENTS)
    if not name:
        list_presets(presets.values(), console)
        return 0
    given = list(typed or [])
    preset = find_preset(name, presets)
    wanted = [preset, presets[preset.against]] if preset.against else [preset]
    for one in wanted:
        check_preset(one, given)
    if plan:
        from s2g.cli.run import main  # hydra, which the list does without

        return max(main([*one.run, *given, f"runs={runs}", "plan=true"]) for one in wanted)
    for one in wanted:
        console.print(f"python run.py {' '.join([*one.run, *given])}", soft_wrap=True, markup=False)
    resolved = [resolve(compose_config(*one.run, *given), fetching=True) for one in wanted]
    executor = resolved[0][1] if workers is None else replace(resolved[0][1], workers=workers)
    with Pool(config=executor) as pool:
        score, *others = produce([require_trained(run) for run, *_ in resolved], runs, pool, console)
    verdicts = judge(preset, score.estimates)
    for other in others:
        verdicts += judge_differences(preset, wanted[1], score, other)
    doubts = doubts_in([remark for one in (score, *others) for remark in one.remarks])
    head = [preset.name, "published", "ours", "95 %", "off by", "allowed", ""]
    console.print(console_table(head, [row_of(verdict, bool(doubts)) for verdict in verdicts]))
    console.print(f"published: {preset.source}; run: {score.run.key}, n = {score.run.num}", soft_wrap=True)
    for remark in dict.fromkeys([*doubts, *score.remarks]):
        console.print(remark, soft_wrap=True)
    return int(bool(doubts) or not all(verdict.passes for verdict in verdicts))


def list_presets(presets: Collection[Preset], console: Console) -> None:
    """Print the presets of the file with their numbers, and the paper's tables by group and bench: one line for their rows."""
    own = [one for one in presets if one.row == ""]
    console.print(console_table(["preset", "published", "source"], [[o.name, numbers_of(o), o.source] for o in own], left=True))
    families: dict[str, list[Preset]] = {}
    for one in presets:
        if one.row:
            families.setdefault(one.name.replace(f".{one.row}.", ".ROW."), []).append(one)
    rows = [[name, ", ".join(o.row for o in group), ", ".join(group[0].numbers)] for name, group in families.items()]
    console.print(console_table(["of the paper's tables", "ROW", "numbers"], rows, left=True))


def numbers_of(preset: Preset) -> str:
    """Return a preset's published numbers and tolerances on one line."""
    return ", ".join(f"{metric} {published:g} +- {tolerance:g}" for metric, (published, tolerance) in preset.numbers.items())


def row_of(verdict: Verdict, doubtful: bool = False) -> list[str]:
    """Return a verdict as a row: metric, published, ours, interval, difference, tolerance, pass or fail.

    doubtful: ours is not the published measurement, so there is nothing to pass.
    """
    interval = "" if verdict.low is None or verdict.high is None else f"[{verdict.low:.6g}, {verdict.high:.6g}]"
    off = verdict.value - verdict.published
    said = "void" if doubtful else "pass" if verdict.passes else "FAIL"
    return [
        verdict.metric,
        f"{verdict.published:g}",
        f"{verdict.value:.6g}",
        interval,
        f"{off:+.3g}",
        f"{verdict.tolerance:g}",
        said,
    ]

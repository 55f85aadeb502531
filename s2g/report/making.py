"""make table2: plan, run what the store lacks, score, write; printing from what was written needs none of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from s2g import __version__
from s2g.config import ExecutorConfig
from s2g.engine.atomic import write_bytes, write_json
from s2g.engine.bench import PlannedBench
from s2g.engine.environment import machine
from s2g.engine.execute import execute
from s2g.engine.executor import LocalExecutor
from s2g.engine.locks import in_use
from s2g.engine.run import Run, outline, resolve
from s2g.engine.scoring import Score, difference, score
from s2g.engine.store import Store
from s2g.errors import NotBuiltError, UserError, unknown
from s2g.report.exhibit import Exhibit, Profile, Wanted, wanted
from s2g.report.exhibit_file import find_exhibit
from s2g.report.planning import composed, composing
from s2g.report.pooled import pooled
from s2g.report.rendering import console_of, csv_of, markdown_of, tex_of
from s2g.report.results import NOT_BUILT, RUN, Cell, Measured, Results, numbers


@dataclass(frozen=True)
class Maker:
    """One command: which exhibits in which profile, how many items, where samples and results lie."""

    folder: Path  # of the experiments
    out: Path
    root: str
    num: int | None
    workers: int | None
    command: str

    def make(self, name: str, profile_name: str, console: Console) -> Results:
        """One table or figure: everything that can be run is run; its files are written and its table printed."""
        began = time.perf_counter()
        exhibit = find_exhibit(self.folder, name)
        if profile_name not in exhibit.profiles:
            raise unknown("PROFILE", profile_name, exhibit.profiles)
        profile = exhibit.profiles[profile_name]
        rows, runs, why = self.resolved(profile)
        scores = self.scores(list({run.key: run for run in runs.values()}.values()), console)
        made = {
            "command": self.command,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": machine(),
            "torch": torch.__version__,
            "s2g": __version__,
        }
        measured = measure(profile, rows, {want_id: scores[run.key] for want_id, run in runs.items()}, why)
        results = Results(exhibit.name, profile.name, self.num, made, columns_of(profile, rows), measured)
        write(results, exhibit, self.out)
        from s2g.report.plots import write_plot  # matplotlib, which printing does not need

        pictures = "".join(f", {path.suffix}" for path in write_plot(exhibit, results, self.out))
        console.print(console_of(exhibit, results))
        files = f"{self.out / f'{exhibit.name}-{profile.name}'}.json, .md, .csv, .tex{pictures}"
        console.print(f"{time.perf_counter() - began:.0f} s. {files}", soft_wrap=True)
        return results

    def resolved(self, profile: Profile) -> tuple[list[Wanted], dict[int, Run], dict[int, str]]:
        """Rows; by their place the runs of those that can be run, and why the others cannot."""
        rows, runs, why = wanted(profile), {}, {}
        with composing():
            for place, want in enumerate(rows):
                raw = composed(want)
                if self.num is not None:
                    raw["num"] = self.num
                try:
                    run = resolve(raw)[0]
                    _ = run.key  # asks for the weights
                    runs[place] = run
                except NotBuiltError:
                    why[place] = NOT_BUILT
                except UserError as error:
                    if "no file" not in str(error):
                        raise
                    why[place] = f"no weights: {run_weights(raw)}"
        return rows, runs, why

    def scores(self, runs: Sequence[Run], console: Console) -> dict[str, Score]:
        """Scores by key, sampled where the store lacks them."""
        if not runs:
            return {}
        with LocalExecutor(ExecutorConfig(workers=self.workers)) as executor, ExitStack() as used:
            made = execute(runs, self.root, executor, True, console)
            found = {}
            for run in runs:
                made.check(run)
                store = Store.of(run, self.root)
                used.enter_context(in_use(store.folder))
                found[run.key] = score(run, store)
        return found


def columns_of(profile: Profile, rows: Sequence[Wanted]) -> dict[str, dict[str, Any]]:
    """Label, direction and digits of each column, as its bench says; UserError for a metric that it has not."""
    found, benches = {}, {}
    with composing():
        for want in rows:
            if want.bench not in benches:
                bench = outline(composed(want)).bench
                known = bench.columns if isinstance(bench, PlannedBench) else {m.name: m for m in bench.metrics}
                benches[want.bench] = known
    for name, column in profile.columns.items():
        known = benches[column.bench or rows[0].bench]
        if column.metric not in known:
            raise unknown(f"columns.{name}.metric", column.metric, known)
        about = known[column.metric]
        higher = about.higher if column.over in ("", "mean") else False
        digits = about.digits if column.digits is None else column.digits
        found[name] = {"label": column.label or about.label, "higher": higher, "digits": digits}
    return found


def run_weights(raw: Mapping[str, Any]) -> str:
    """What weights a configuration asks for."""
    return str(raw["model"]["weights"])


def measure(
    profile: Profile, rows: Sequence[Wanted], scores: Mapping[int, Score], why: Mapping[int, str]
) -> tuple[Measured, ...]:
    """A line for each row of each group, its benches together; differences to the row that is compared with."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, want in enumerate(rows):
        places.setdefault((want.group, want.row), []).append(place)
    found = []
    for (group, row), at in places.items():
        first = rows[at[0]]
        have = [place for place in at if place in scores]
        reference = {rows[p].bench: scores[p] for p in places.get((group, profile.reference(row)), []) if p in scores}
        cells: dict[str, Cell] = {}
        for bench in dict.fromkeys(rows[place].bench for place in have):
            runs = [scores[place] for place in have if rows[place].bench == bench]
            cells |= cells_of(profile, bench, runs, reference.get(bench))
        status = RUN if len(have) == len(at) else why[next(place for place in at if place in why)]
        typed = [override for override in first.overrides if not override.startswith("bench=shapes")]
        line = Measured(group, row, first.label, " ".join(["python run.py", *typed]), status)
        if have:
            one = scores[have[0]]
            line = replace(
                line,
                keys=keys_of(rows, {place: scores[place].run for place in have}),
                against=profile.reference(row),
                n=one.run.num,
                units=len(one.run.units),
                cells=cells,
                effective_scale=None if one.effective.scale is None else numbers(one.effective.scale),
                evaluations=one.cost.evaluations,
                flops=float(f"{one.cost.flops:.6g}"),
                seconds=float(f"{one.cost.seconds:.3g}"),
            )
        found.append(line)
    return tuple(found)


def cells_of(profile: Profile, bench: str, runs: Sequence[Score], reference: Score | None) -> dict[str, Cell]:
    """The cells of one row on one bench, by column; differences where both are one run of the same items."""
    metrics = {metric.name: metric for metric in runs[0].run.bench.metrics}
    own = runs[0].run
    other = (
        reference if len(runs) == 1 and reference and reference.run.num == own.num and reference.run.key != own.key else None
    )
    cells = {}
    for name, column in profile.columns.items():
        if column.bench not in ("", bench):
            continue
        metric = metrics[column.metric]
        if column.over:
            found = pooled(column.over, metric, runs)
            if found is not None:
                cells[name] = Cell.of(found, None)
        else:
            delta = None if other is None else difference(metric, runs[0], other)
            cells[name] = Cell.of(runs[0].estimates[metric.name], delta)
    return cells


def keys_of(rows: Sequence[Wanted], runs: Mapping[int, Run]) -> dict[str, str]:
    """Keys by bench; of a row that is several runs, the second one's is BENCH 2."""
    found: dict[str, str] = {}
    for place, run in runs.items():
        count = 1 + sum(name.partition(" ")[0] == rows[place].bench for name in found)
        found[rows[place].bench + (f" {count}" if count > 1 else "")] = run.key
    return found


def write(results: Results, exhibit: Exhibit, out: Path) -> None:
    """NAME-PROFILE.json, .md, .csv, .tex, and which runs they speak of."""
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{results.exhibit}-{results.profile}"
    results.write(out / f"{stem}.json")
    for ending, text in (("md", markdown_of), ("csv", csv_of), ("tex", tex_of)):
        write_bytes(out / f"{stem}.{ending}", text(exhibit, results).encode())
    keys = sorted({key for row in results.rows for key in row.keys.values()})
    write_json(out / f"{stem}.runs.json", {"runs": keys})

"""What there is to choose from, and what is stored."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from rich.console import Console

from s2g.config.registry import BENCHES, GUIDANCE, MODELS, SAMPLERS, Registry
from s2g.config.schema import config_dir
from s2g.engine.run import RANDOM
from s2g.errors import UserError
from s2g.report.tables import console_table, cost_line, flat, scale_line
from s2g.scoring.score import cost_of, effective_of
from s2g.store.store import Store, checksum


def show_registries() -> None:
    """Every model, method, sampler and bench, with what to type."""
    console = Console(highlight=False)
    models = [[path.stem, _first_comment(path)] for path in sorted((config_dir() / "model").glob("*.yaml"))]
    console.print(console_table(["model=", ""], models, left=True))
    registries = (("guidance=", GUIDANCE), ("sampler=", SAMPLERS), ("bench=", BENCHES), ("model.family=", MODELS))
    for name, registry in registries:
        presets = []
        if registry is SAMPLERS:  # a solver with all its knobs set
            named = sorted((config_dir() / "sampler").glob("*.yaml"))
            presets = [[path.stem, _first_comment(path)] for path in named if path.stem not in (*registry, "model")]
        console.print(console_table([name, ""], [*_rows(registry), *presets], left=True))


def _rows(registry: Registry) -> list[list[str]]:
    return [[name, entry.summary] for name, entry in registry.entries.items()]


def _first_comment(path: Path) -> str:
    return path.read_text().splitlines()[0].lstrip("# ")


def find_run(name: str, root: str) -> Path:
    """The folder of a run from its path, key, or the beginning of its key; UserError if none or several fit."""
    folders = [path.parent for path in sorted(Path(root).glob("[!.]*/run.json"))]
    for fitting in (
        [folder for folder in (Path(name),) if (folder / "run.json").exists()],
        [folder for folder in folders if folder.name == name],
        [folder for folder in folders if folder.name.startswith(name)],
    ):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UserError(f"{name}: {len(fitting)} runs begin so", allowed=", ".join(folder.name for folder in fitting))
    known = ", ".join(folder.name for folder in folders) or f"none below {root}"
    raise UserError(f"{name}: no such run", allowed=known, todo="python run.py makes one")


def show_run(name: str, root: str) -> None:
    """A stored run: its identity, its units and what they cost, its scores, the machines."""
    console = Console(highlight=False)
    store = Store(find_run(name, root).absolute())
    run = store.read_run()
    console.print(f"{run['key']}, begun {run['begun']}", soft_wrap=True)
    if run.get("random_weights"):
        console.print(RANDOM, soft_wrap=True)
    rows = [[key, json.dumps(value)] for key, value in sorted(flat(run["identity"] | {"fixed": run["fixed"]}))]
    console.print(console_table(["identity", ""], rows, left=True))
    records = list(store.records(sorted(store.stored())))
    size = run["identity"]["model"]["unit"]
    console.print(f"{len(records)} units, {size * len(records)} items of {run['num']} asked for")
    if records:
        told = (cost_line(cost_of(records, size)), scale_line(effective_of(records)))
        console.print("\n".join(line for line in told if line), soft_wrap=True)
    split = [record["unit"] for record in records if "split" in record]
    if split:
        console.print(f"units made in parts for lack of memory: {', '.join(map(str, split))}", soft_wrap=True)
    made = Counter(record["environment"] for record in records)
    for name, about in store.environments().items():
        commit = about["git"] or {"commit": "no checkout", "dirty": False}
        console.print(
            f"{made[name]} units: {about['machine']}; {about['workers']} workers on {about['device']}; torch "
            f"{about['packages']['torch']}; s2g {about['s2g']}, {commit['commit'][:8]}{' with changes' * commit['dirty']}",
            soft_wrap=True,
        )
    for path in sorted((store.folder / "scores").glob("*.json")):
        try:
            score = json.loads(path.read_text())
            if score.pop("check") != checksum(score):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            console.print(f"scores/{path.name} is damaged; the run's command measures again", soft_wrap=True)
            continue
        values = [
            [metric, "–" if v["value"] is None else f"{v['value']:g}", _interval(v)] for metric, v in score["values"].items()
        ]
        console.print(console_table([f"n = {score['n']}", "value", "95 % interval"], values))
        for remark in score.get("remarks", ()):
            console.print(remark, soft_wrap=True)


def _interval(value: dict) -> str:
    return "" if value["low"] is None else f"{value['low']:.4g} to {value['high']:.4g}"

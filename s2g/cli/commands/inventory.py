"""`s2g ls` and `s2g show`: the registries, and one stored run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from rich.console import Console

from s2g.cli.commands.options import Runs, StoredRun
from s2g.config.registry import BENCHES, EXECUTORS, GUIDANCE, MODELS, SAMPLERS, Registry
from s2g.config.schema import config_dir
from s2g.config.typed import command, overrides_of
from s2g.engine.run import RANDOM
from s2g.errors import UserError
from s2g.io.json_files import load_json
from s2g.report.number_text import cost_line, flat, scale_line
from s2g.report.run_list import run_lines
from s2g.report.tables import console_table
from s2g.scoring.score import cost_of, effective_of
from s2g.store.env_file import environments
from s2g.store.status import run_folders
from s2g.store.store import Store, checksum


def ls() -> None:
    """Print every model, guidance method, sampler, bench and executor with the key that selects it."""
    console = Console(highlight=False)
    models = [[path.stem, _first_comment(path)] for path in sorted((config_dir() / "model").glob("*.yaml"))]
    models += [[name, MODELS.entries[name].summary] for name in MODELS.own]
    console.print(console_table(["model=", ""], models, left=True))
    registries = (
        ("guidance=", GUIDANCE),
        ("sampler=", SAMPLERS),
        ("bench=", BENCHES),
        ("executor=", EXECUTORS),
        ("model.family=", MODELS),
    )
    for key, registry in registries:
        presets = []
        if registry is SAMPLERS:  # presets: a solver with all its settings
            named = sorted((config_dir() / "sampler").glob("*.yaml"))
            presets = [[path.stem, _first_comment(path)] for path in named if path.stem not in (*registry, "model")]
        console.print(console_table([key, ""], [*_rows(registry), *presets], left=True))


def _rows(registry: Registry) -> list[list[str]]:
    return [[name, entry.summary] for name, entry in registry.entries.items()]


def _first_comment(path: Path) -> str:
    """Return the sentence that a YAML file begins with, on one line or several."""
    said = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        said.append(line.lstrip("# "))
        if said[-1].endswith("."):
            break
    return " ".join(said)


def find_run(name: str, root: str) -> Path:
    """Return the folder of a run, from its path, its key or a beginning of its key; UserError if none or several match."""
    folders = run_folders(root)
    for matches in (
        [folder for folder in (Path(name),) if (folder / "run.json").exists()],
        [folder for folder in folders if folder.name == name],
        [folder for folder in folders if folder.name.startswith(name)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UserError(f"{name}: {len(matches)} runs match", allowed=run_lines(matches))
    names = run_lines(folders) if folders else f"none in {root}"
    raise UserError(f"{name}: no such run", allowed=names, todo="python run.py makes one")


def show(run: StoredRun, runs: Runs = "runs") -> None:
    """Print a run's identity, its units and their cost, the machines it ran on, and its scores."""
    console = Console(highlight=False)
    store = Store(find_run(run, runs).absolute())
    metadata = store.read_run()
    console.print(f"{metadata['key']}, begun {metadata['begun']}", soft_wrap=True)
    typed = command(overrides_of(metadata["config"]), metadata["num"])
    console.print(f"typed: {typed}", soft_wrap=True, markup=False)
    if metadata.get("random_weights"):
        console.print(RANDOM, soft_wrap=True)
    rows = [[key, json.dumps(value)] for key, value in sorted(flat(metadata["identity"] | {"fixed": metadata["fixed"]}))]
    console.print(console_table(["identity", ""], rows, left=True))
    records = store.records(sorted(store.stored()))
    size = metadata["identity"]["model"]["unit"]
    console.print(f"{len(records)} units, {size * len(records)} items of {metadata['num']} asked for")
    if records:
        lines = (cost_line(cost_of(records, size)), scale_line(effective_of(records)))
        console.print("\n".join(line for line in lines if line), soft_wrap=True)
    split = [record["unit"] for record in records if "split" in record]
    if split:
        console.print(f"units sampled in parts (out of memory): {', '.join(map(str, split))}", soft_wrap=True)
    made = Counter(record["environment"] for record in records)
    for name, environment in environments(store).items():
        commit = environment["git"] or {"commit": "no checkout", "dirty": False}
        changes = " with changes" if commit["dirty"] else ""
        console.print(
            f"{made[name]} units: {environment['machine']}; {environment['workers']} workers on {environment['device']}; torch "
            f"{environment['packages']['torch']}; s2g {environment['s2g']}, {commit['commit'][:8]}{changes}",
            soft_wrap=True,
        )
    for path in sorted((store.folder / "scores").glob("*.json")):
        try:
            score = load_json(path)
            if score.pop("check") != checksum(score):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            console.print(f"scores/{path.name} is damaged; the run's command computes it again", soft_wrap=True)
            continue
        values = [
            [metric, "–" if v["value"] is None else f"{v['value']:g}", _interval(v), v.get("method", "")]
            for metric, v in score["values"].items()
        ]
        console.print(console_table([f"n = {score['n']}", "value", "95 % interval", "as it was scored"], values))
        for remark in score.get("remarks", ()):
            console.print(remark, soft_wrap=True)


def _interval(value: dict) -> str:
    return "" if value["low"] is None else f"{value['low']:.4g} to {value['high']:.4g}"

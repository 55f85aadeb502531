"""What there is to choose from, and what is stored."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from s2g.config import config_dir
from s2g.errors import UserError
from s2g.registry import BENCHES, GUIDANCE, MODELS, SAMPLERS, Registry
from s2g.report.table import console_table


def show_registries() -> None:
    """Every model, method, sampler and bench, with what to type."""
    console = Console(highlight=False)
    models = [[path.stem, _first_comment(path)] for path in sorted((config_dir() / "model").glob("*.yaml"))]
    console.print(console_table(["model=", ""], models, left=True))
    registries = (("guidance=", GUIDANCE), ("sampler=", SAMPLERS), ("bench=", BENCHES), ("model.family=", MODELS))
    for name, registry in registries:
        console.print(console_table([name, ""], _rows(registry), left=True))


def _rows(registry: Registry) -> list[list[str]]:
    return [[name, entry.summary] for name, entry in registry.entries.items()]


def _first_comment(path: Path) -> str:
    return path.read_text().splitlines()[0].lstrip("# ")


def find_run(name: str, root: str) -> Path:
    """The folder of a run from its path, key, or the beginning of its key; UserError if none or several fit."""
    folders = [path.parent for path in sorted(Path(root).glob("*/run.json"))]
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
    """A stored run: its identity, its units, its scores, the machine."""
    console = Console(highlight=False)
    folder = find_run(name, root)
    run, about = (json.loads((folder / file).read_text()) for file in ("run.json", "env.json"))
    records = [json.loads(path.read_text()) for path in sorted((folder / "units").glob("*.json"))]
    items = sum(len(record["items"]) for record in records)
    console.print(f"{run['key']}, begun {run['begun']}", soft_wrap=True)
    rows = [[key, json.dumps(value)] for key, value in sorted(_flat(run["identity"] | {"fixed": run["fixed"]}))]
    console.print(console_table(["identity", ""], rows, left=True))
    console.print(
        f"{len(records)} units, {items} items; {about['machine']}; torch {about['packages']['torch']}", soft_wrap=True
    )
    for path in sorted((folder / "scores").glob("*.json")):
        score = json.loads(path.read_text())
        values = [[metric, f"{v['value']:g}", _interval(v)] for metric, v in score["values"].items()]
        console.print(console_table([f"n = {score['n']}", "value", "95 % interval"], values))


def _interval(value: dict) -> str:
    return "" if value["low"] is None else f"{value['low']:.4g} to {value['high']:.4g}"


def _flat(value: dict, above: str = "") -> list[tuple[str, object]]:
    pairs = []
    for key, inside in value.items():
        name = f"{above}{key}"
        pairs += _flat(inside, f"{name}.") if isinstance(inside, dict) else [(name, inside)]
    return pairs

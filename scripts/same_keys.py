"""Prints the key of every committed result beside the key it has today, as JSON; samples nothing.

    python scripts/same_keys.py

It reads experiments/ and configs/ of the working folder, and gives a reason in place of a key that cannot be computed. Of s2g
it needs `restore` alone, and it expands the rows of tables by itself, so that it holds the code against something else.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from s2g.engine.resolve import restore

GROUPS = ("model", "guidance", "sampler", "bench")
EXPERIMENTS = Path("experiments")
COMMAND = "python run.py "
Typed = dict[str, Any]  # configuration key to value, as typed after COMMAND


def main() -> None:
    """Print {committed key: today's key}."""
    keys: dict[str, str] = {}
    with initialize_config_dir(version_base="1.3", config_dir=str(Path("configs").absolute())):
        for path in sorted((EXPERIMENTS / "results").glob("*.runs.json")):
            typed = dict(rows_of(path.with_name(path.name.replace(".runs.json", ".json"))))
            for key in json.loads(path.read_text())["runs"]:
                if key not in keys:
                    keys[key] = today(typed[key]) if key in typed else "no row says what it is of"
    print(json.dumps(keys, indent=1, sort_keys=True))


def today(typed: Typed) -> str:
    """Compute a run's key, or say why it cannot be."""
    try:
        raw = composed(typed)
        return restore({name: raw[name] for name in (*GROUPS, "seed", "mask_seed")}, raw["num"] or 2).key
    except Exception as error:  # weights that are not here, or what a change of the code has broken
        return f"{type(error).__name__}: {error}"


def rows_of(path: Path) -> Iterator[tuple[str, Typed]]:
    """Yield the keys of a results file, each with what was typed for it."""
    results = json.loads(path.read_text())
    if "exhibit" not in results:
        yield from methods_of(results)
        return
    file = yaml.safe_load((EXPERIMENTS / f"{results['exhibit']}.yaml").read_text())
    profile = file["profiles"][results["profile"]]
    for row in results["rows"]:
        name, group = row["row"].partition("@")[0], profile["groups"][row["group"]]
        line = {**file["rows"].get(name, {}), **((profile.get("rows") or {}).get(name) or {})}
        if row["command"].startswith(COMMAND):
            typed = words_of(row["command"].removeprefix(COMMAND))
        else:  # a study's row; its own knobs are not its network's
            sets = {**profile.get("set", {}), **group.get("set", {}), **line.get("set", {})}
            typed = {key: value for key, value in sets.items() if not key.startswith("study.")}
        several = {**group.get("over", {}), **line.get("over", {})}
        for label, key in row["keys"].items():  # BENCH; BENCH 2 and so on of a row that is several runs
            bench, _, number = label.partition(" ")
            place = int(number or 1) - 1
            point = {one.strip(): values[place] for names, values in several.items() for one in names.split(",")}
            yield key, {**typed, **point, "bench": bench}


def methods_of(results: Mapping[str, Any]) -> Iterator[tuple[str, Typed]]:
    """Yield the keys of what `make methods` wrote, and of CFG beside its rows."""
    every = {name: results["made"][name] for name in ("model", "bench", "seed")}
    for row in results["rows"]:
        knobs = {f"guidance.{name}": value for name, value in row["knobs"].items()}
        steps = {f"sampler.{name}": value for name, value in row["sampler"].items()}
        yield row["key"], {**every, "guidance": row["guidance"], **knobs, **steps}
        if twin := row.get("cfg_at_effective_scale"):
            yield twin["key"], {**every, "guidance": "cfg", "guidance.scale": twin["scale"]}


def words_of(command: str) -> Typed:
    """Read overrides as Hydra does."""
    return {one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(command.split())}


def composed(typed: Typed) -> dict[str, Any]:
    """Compose a configuration."""
    config = copy.deepcopy(chosen(tuple(f"{key}={value}" for key, value in typed.items() if key in GROUPS)))
    for key, value in typed.items():
        if key not in GROUPS:
            OmegaConf.update(config, key, value)
    raw: Any = OmegaConf.to_container(config, resolve=True)
    return raw


@cache
def chosen(groups: tuple[str, ...]) -> Any:
    """Compose a choice of groups, cached: Hydra takes a tenth of a second for each."""
    return compose("run", overrides=list(groups))


if __name__ == "__main__":
    main()

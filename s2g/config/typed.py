"""What was typed of a composed configuration: the overrides that make it from the defaults in configs/."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from s2g.config.schema import config_dir
from s2g.errors import UserError

GROUPS = ("model", "guidance", "sampler", "bench")
MOVED = ("bench.examples",)  # a bench's default prompts; a stored run has them in bench.text
LONGEST = 48  # letters of a value as lists show it
PLAIN = re.compile(r"[A-Za-z_/]([\w./*+ -]*[\w./*+-])?", re.ASCII)  # text that Hydra reads as it is,
NOT_TEXT = ("null", "true", "false", "nan", "inf")  # except these


def overrides_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return key -> value of everything in a stored run's `config` that is not a default; a group's choice comes first.

    Of several YAML files with one name (bench=hps and bench=hps_qalign) the one that leaves the fewest overrides counts.
    """
    main, found = _load(config_dir() / "run.yaml"), {}
    chosen = {group: name for entry in main["defaults"] if isinstance(entry, Mapping) for group, name in entry.items()}
    for group in GROUPS:
        values = config.get(group)
        if isinstance(values, Mapping):
            choice, rest = min(_choices(group, values, config), key=lambda pair: len(pair[1]))
            found |= ({} if choice == chosen[group] else {group: choice}) | rest
    return found | {name: config[name] for name in ("seed", "mask_seed") if config.get(name, main[name]) != main[name]}


def words(overrides: Mapping[str, Any]) -> str:
    """Return overrides on one line to look at, long values cut; "defaults" if there are none."""
    return " ".join(f"{key}={_cut(_value(value))}" for key, value in overrides.items()) or "defaults"


def command(overrides: Mapping[str, Any], num: int | None = None) -> str:
    """Return the command line of a run, quoted for a shell."""
    typed = {**overrides, **({} if num is None else {"num": num})}
    return " ".join(["python run.py", *(shlex.quote(f"{key}={_value(value)}") for key, value in typed.items())])


def differing(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, by run, the overrides in which the runs differ; a key that a run leaves at its default is left out of it."""
    keys = dict.fromkeys(key for overrides in runs.values() for key in overrides)
    own = [key for key in keys if len({_value(overrides.get(key)) for overrides in runs.values()}) > 1]
    return {name: {key: overrides[key] for key in own if key in overrides} for name, overrides in runs.items()}


def _choices(group: str, values: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return each file of the group that has this name, with what differs from it; all of it where nobody states a default."""
    files = [path for path in sorted((config_dir() / group).glob("*.yaml")) if _load(path).get("name") == values.get("name")]
    found = []
    for path in files:
        default = dict(_load(path))
        if any(isinstance(usual, str) and "${" in usual for usual in default.values()):  # follows another group
            default = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create({**config, group: default}), resolve=True))[
                group
            ]
        if group == "model" and isinstance(default.get("units"), Mapping):  # the run holds what `units` said
            default["unit"] = values.get("unit") if values.get("unit") in default["units"].values() else None
        found.append((path.stem, _beyond(values, default, group)))
    name = str(values.get("name"))
    own = ConfigStore.instance().repo.get(group, {}).get(f"{name}.yaml")  # of a user's file
    if own is not None:
        usual: Any = OmegaConf.to_container(own.node)
        found.append((name, _beyond(values, usual, group)))
    rest = {f"{group}.{key}": value for key, value in values.items() if key != "name" and value is not None}
    return found or [(name, rest)]


def _beyond(values: Mapping[str, Any], default: Mapping[str, Any], above: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        name, usual = f"{above}.{key}", default.get(key)
        if isinstance(value, Mapping) and isinstance(usual, Mapping) and usual:
            found |= _beyond(value, usual, name)
        elif value != usual and name not in MOVED:
            found[name if key in default else f"+{name}"] = value
    return found


@cache
def _load(path: Path) -> dict[str, Any]:
    """Return a YAML file's values over those of the file of its group that its defaults list names."""
    try:
        raw: Any = OmegaConf.to_container(OmegaConf.load(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if path.name == "run.yaml":
        return raw
    below = [name for name in raw.pop("defaults", []) if name != "_self_"]
    return {key: value for name in below for key, value in _load(path.with_name(f"{name}.yaml")).items()} | raw


def _value(value: Any) -> str:
    """Return a value as Hydra reads it back."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    text = str(value)
    if not isinstance(value, str) or (PLAIN.fullmatch(text) and text.lower() not in NOT_TEXT):
        return text
    return '"' + re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + ('\\"' if m[2] else ""), text) + '"'


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

"""Compose Hydra configurations outside of the command line: overrides in, plain data out; and word Hydra's errors."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from s2g.config.plugins import store_registered_methods
from s2g.config.registry import where_listed
from s2g.config.schema import config_dir
from s2g.errors import UserError, no_such_key, unknown

MOST_JOBS = 10_000  # of one sweep
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException)


def compose_unresolved(overrides: Sequence[str]) -> DictConfig:
    """Return what `python run.py OVERRIDES` composes, with its interpolations; raise COMPOSITION_ERRORS for a mistake."""
    store_registered_methods()
    with initialize_config_dir(version_base="1.3", config_dir=str(config_dir().absolute())):
        return compose("run", overrides=list(overrides))


def compose_config(*overrides: str) -> dict[str, Any]:
    """Return the configuration of `python run.py OVERRIDES` as plain data; raise COMPOSITION_ERRORS for a mistake."""
    return plain_data(compose_unresolved(overrides))


def plain_data(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as nested dicts, interpolations resolved."""
    raw: Any = OmegaConf.to_container(config, resolve=True)
    return raw


def check_arguments(arguments: Sequence[str]) -> None:
    """Raise UserError for what would keep Hydra busy for hours or is beyond Python: endless sweeps, numbers of 4,300 digits.

    So is a key typed as a flag (--num 64), for which Hydra shows its own flags. What cannot be parsed is left to Hydra,
    which says why.
    """
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        flag, _, value = argument.partition("=")
        if flag.startswith("--") and flag[2:].partition(".")[0] in _top_keys():
            value = value or (following if following and "=" not in following and following[0] != "-" else "VALUE")
            raise UserError(f"{flag}: a key, typed as a flag", allowed="KEY=VALUE", todo=f"{flag[2:]}={value}")
        if re.search(r"\d{400}", argument):
            raise UserError(f"{argument[:60]}…: a number of more than 400 digits")
    jobs = math.prod(swept_knobs(arguments).values())
    if jobs > MOST_JOBS:
        raise UserError(f"a sweep of {jobs:,} runs", allowed=f"up to {MOST_JOBS:,}", todo="sweep in several commands")


@cache
def _top_keys() -> frozenset[str]:
    """Return the keys and groups of configs/run.yaml."""
    main: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / "run.yaml"))
    groups = (name for entry in main["defaults"] if isinstance(entry, dict) for name in entry)
    return frozenset({*main, *groups} - {"defaults", "hydra"})


def swept_knobs(arguments: Sequence[str]) -> dict[str, int]:
    """Return how many values a sweep has of each knob; what cannot be parsed is left to Hydra."""
    found = {}
    for argument in arguments:
        with contextlib.suppress(HydraException):
            (override,) = OverridesParser.create().parse_overrides([argument])
            if override.is_sweep_override():
                found[override.key_or_group] = _choices(override)
    return found


def _choices(override: Any) -> int:
    sweep = override.value()
    if isinstance(sweep, RangeSweep):
        return max(0, math.ceil((sweep.stop - (sweep.start or 0)) / sweep.step)) if sweep.stop is not None else 1
    return len(sweep.list) if isinstance(sweep, ChoiceSweep) else 1


def explain_composition(error: Exception) -> str:
    """Return one of COMPOSITION_ERRORS in our form: key, value, allowed values, next command."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, name = error.missing_cfg_file.partition("/")
        return str(unknown(group, name, error.options, todo=where_listed(group)))
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        key, parent = str(cause.full_key or ""), cause.parent_node
        names = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
        if names and key.rpartition(".")[2] not in names:
            groups = () if "." in key else ("guidance", "sampler", "bench", "model", "executor")
            if homes := [f"{group}.{key}" for group in groups if key in parent[group]]:  # scale=3
                return str(UserError(f"{key}: there is no such key. Did you mean '{homes[0]}'?", allowed=", ".join(homes)))
            of = f" of guidance={parent.get('name')}" if re.fullmatch(r"guidance\.\w+", key) else ""
            return str(no_such_key(key, [name for name in names if name != "name"], of))
    if "bench.text=" in str(error).split("\n")[0] or (
        isinstance(error, OverrideParseException) and error.override.startswith("bench.text=")
    ):
        return (
            "bench.text: cannot be read; a comma, colon, quote or bracket in a prompt needs quotes around the prompt\n"
            """  allowed: 'bench.text=["a cat, black", "noon: a dog"]' with both kinds of quotes, as in a shell\n"""
            "  do: quote each prompt, or give a file: bench.path=FILE, a prompt on each line"
        )
    if isinstance(error, OverrideParseException):
        example = "guidance.omega=0.3, or several with -m: guidance.omega=0.1,0.25"
        return f"{error.override}: cannot be read\n  allowed: key=value, e.g. {example}"
    if several := re.match("Ambiguous value for argument '([^=]*)=(.*)'\n", str(error)):
        key, values = several.groups()
        return (
            f"{key}={values}: several values, but this is one run\n  allowed: one value, or a list: '{key}=[{values}]'\n"
            f"  do: for a run of each, put -m first: python run.py -m {key}={values}"
        )
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n  ".join(lines[:3]) + "\n  do: python run.py --help lists groups and keys"

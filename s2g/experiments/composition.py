"""Compose the configuration of a table's row as `python run.py` would, most rows without calling Hydra."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from s2g.config.compose import COMPOSITION_ERRORS, compose_config, compose_unresolved, explain_composition, plain_data
from s2g.config.schema import config_dir
from s2g.engine.resolve import GROUPS
from s2g.errors import UserError
from s2g.experiments.specification import RunSpec, word

LITERALS = {"true", "false", "null", "nan", "inf"}  # Hydra reads these as other than strings


@contextmanager
def named(spec: RunSpec) -> Iterator[None]:
    """A UserError inside begins with the file, the line and the row it is of."""
    try:
        yield
    except UserError as error:
        if spec.where:
            error.at(f"{spec.where}: row {spec.row}")
        raise


def compose_row(spec: RunSpec) -> dict[str, Any]:
    """Return a row's configuration; UserError as for the command line it stands for.

    Hydra takes a tenth of a second per row, and a table has dozens of rows that differ in a number: each choice of groups is
    composed once and plain values are set in a copy. Anything but a plain value of an existing key goes through Hydra.
    """
    try:
        chosen = {key: value for key, value in spec.set.items() if key in GROUPS}
        rest = {key: value for key, value in spec.set.items() if key not in GROUPS}
        groups, read = _groups(config_dir(), _typed(chosen))
        if read & set(rest):  # a bench that is of the model's own mixture would keep the old one
            chosen |= {key: rest.pop(key) for key in list(rest) if key in read}
            groups, read = _groups(config_dir(), _typed(chosen))
        raw = copy.deepcopy(groups)
        return raw if all(_put(raw, key, value) for key, value in rest.items()) else compose_config(*spec.overrides)
    except COMPOSITION_ERRORS as error:
        with named(spec):
            raise UserError(explain_composition(error)) from error


def _typed(chosen: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{key}={word(value)}" for key, value in chosen.items())


def _put(raw: dict[str, Any], key: str, value: Any) -> bool:
    """Set an existing key to a plain value; return False, with nothing set, for anything else."""
    *path, last = key.split(".")
    parent: Any = raw
    for name in path:
        parent = parent.get(name) if isinstance(parent, Mapping) else None
    if not isinstance(parent, dict) or last not in parent or isinstance(parent[last], Mapping) or not _plain(value):
        return False
    parent[last] = copy.deepcopy(value)
    return True


def _plain(value: Any) -> bool:
    """Return whether Hydra would read the typed value as the same value."""
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    if isinstance(value, str):
        return value.isidentifier() and value.lower() not in LITERALS
    return value is None or isinstance(value, bool | int | float)


@cache
def _groups(folder: Path, choices: tuple[str, ...]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return what a choice of groups composes, and the keys its interpolations read; `folder` keys the cache."""
    config = compose_unresolved(choices)
    unresolved = OmegaConf.to_yaml(config, resolve=False)
    return plain_data(config), frozenset(re.findall(r"\$\{(?:[\w.]+:)?([\w.]+)", unresolved))

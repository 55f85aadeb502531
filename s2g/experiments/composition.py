"""Rows of tables to configurations, as `python run.py` would compose them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from s2g.config.schema import config_dir
from s2g.engine.run import GROUPS
from s2g.errors import MissingError, NotBuiltError, UserError, lacks
from s2g.experiments.specification import RunSpec, word

WORDS = {"true", "false", "null", "nan", "inf"}  # which Hydra takes for something else than a word


@contextmanager
def composing() -> Iterator[None]:
    """Configurations can be composed inside."""
    with initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
        yield


@contextmanager
def named(spec: RunSpec) -> Iterator[None]:
    """A UserError inside begins with the file, the line and the row it is of."""
    try:
        yield
    except UserError as error:
        # Those that are made of more than words become plain ones.
        kind = NotBuiltError if isinstance(error, NotBuiltError) else MissingError if lacks(error) else UserError
        raise kind(f"{spec.where}: row {spec.row}: {error}" if spec.where else str(error)) from error


def composed(spec: RunSpec) -> dict[str, Any]:
    """A row's configuration; inside `composing`. UserError as for the command line it stands for.

    Hydra takes a tenth of a second for each, and a table has dozens that differ in a number: what the groups come to is
    composed once and plain values are put into a copy. Whatever is not a plain value of a key that is there, Hydra composes.
    """
    try:
        chosen = {key: value for key, value in spec.set.items() if key in GROUPS}
        rest = {key: value for key, value in spec.set.items() if key not in GROUPS}
        groups, read = _groups(config_dir(), _typed(chosen))
        if read & set(rest):  # a bench that is of the model's own mixture would keep the old one
            chosen |= {key: rest.pop(key) for key in list(rest) if key in read}
            groups, read = _groups(config_dir(), _typed(chosen))
        raw = copy.deepcopy(groups)
        return raw if all(_put(raw, key, value) for key, value in rest.items()) else _whole(spec.overrides)
    except (HydraException, OmegaConfBaseException) as error:
        from s2g.cli.run import explain

        with named(spec):
            raise UserError(explain(error)) from error


def _typed(chosen: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{key}={word(value)}" for key, value in chosen.items())


def _put(raw: dict[str, Any], key: str, value: Any) -> bool:
    """Set a key that is there to a plain value; False, with nothing set, for anything else."""
    *path, last = key.split(".")
    inside: Any = raw
    for name in path:
        inside = inside.get(name) if isinstance(inside, Mapping) else None
    if not isinstance(inside, dict) or last not in inside or isinstance(inside[last], Mapping) or not _plain(value):
        return False
    inside[last] = copy.deepcopy(value)
    return True


def _plain(value: Any) -> bool:
    """Whether Hydra reads what we would type as the very same value."""
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    if isinstance(value, str):
        return value.isidentifier() and value.lower() not in WORDS
    return value is None or isinstance(value, bool | int | float)


@cache
def _groups(place: Path, choices: tuple[str, ...]) -> tuple[dict[str, Any], frozenset[str]]:
    """What the choice of groups alone comes to, and the keys that others are made of; `place` is where they are read from."""
    config = compose("run", overrides=list(choices))
    unresolved = OmegaConf.to_yaml(config, resolve=False)
    return _plain_data(config), frozenset(re.findall(r"\$\{(?:[\w.]+:)?([\w.]+)", unresolved))


def _whole(overrides: Sequence[str]) -> dict[str, Any]:
    return _plain_data(compose("run", overrides=list(overrides)))


def _plain_data(config: DictConfig) -> dict[str, Any]:
    raw: Any = OmegaConf.to_container(config, resolve=True)
    return raw

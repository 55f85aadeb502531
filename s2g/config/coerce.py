"""Convert values that users type to the types that the dataclasses declare."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from s2g.config.ranges import check_range
from s2g.errors import UserError, no_such_key

WORDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def coerce(kind: Any, value: Any, key: str) -> Any:
    """Return `value` as `kind` (int, float, str, bool, X | None, tuple[X, ...], Mapping); else a UserError names `key`."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [part for part in get_args(kind) if part is not type(None)]
        return None if value is None else coerce(inner[0], value, key)
    if origin is tuple:
        values = [value] if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not isinstance(values, list | tuple):
            raise UserError(f"{key} = {value}: not a list", allowed=f"a list of {get_args(kind)[0].__name__}, e.g. {key}=[0,1]")
        return tuple(coerce(get_args(kind)[0], item, key) for item in values)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise UserError(f"{key} = {value}: not a mapping", allowed=f"a mapping, e.g. {key}={{name: value}}")
        return dict(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str):
        return value
    if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) and math.isfinite(value) and kind is int and value.is_integer():
            value = int(value)
        if isinstance(value, int) or (kind is float and math.isfinite(value)):
            check_range(value, key)
            return kind(value)
    raise UserError(f"{key} = {value!r}: not {WORDS.get(kind, kind)}", allowed=WORDS.get(kind, str(kind)))


def at_least(value: float, least: float, key: str) -> None:
    """Raise UserError unless value >= least."""
    if value < least:
        raise UserError(f"{key} = {value}", allowed=f"{least} or more")


def only(known: Mapping[str, Any] | set[str], given: Mapping[str, Any], key: str) -> None:
    """Raise UserError with the nearest name if `given` holds an unknown key."""
    for name in given:
        if name not in known:
            raise no_such_key(f"{key}.{name}" if key else name, known)

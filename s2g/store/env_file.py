"""env.json of a run: the environments in which its units were sampled, by id."""

from __future__ import annotations

import secrets
from typing import Any

from s2g.io.atomic import write_json
from s2g.io.json_files import load_json
from s2g.store.store import Store, checksum


def environments(store: Store) -> dict[str, dict[str, Any]]:
    """Return env.json, environments by id, without entries that are not what was written."""
    return {name: value for name, value in (_entries(store) or {}).items() if checksum(value)[:8] == name}


def environment_of(store: Store, unit: int) -> dict[str, Any]:
    """Return the environment in which a unit was sampled; {} where env.json does not say. DamageError without a record."""
    return environments(store).get(store.record(unit)["environment"], {})


def add_environment(store: Store, environment: dict[str, Any]) -> str:
    """Add an environment to env.json and return its id, which the records of its units hold."""
    name = checksum(environment)[:8]
    path = store.folder / "env.json"
    if name not in environments(store):
        with store.exclusive() as scratch:
            known = environments(store)
            if path.exists() and known != _entries(store):  # keep what it says of earlier units
                path.rename(path.with_name(f"env.json.damaged.{secrets.token_hex(2)}"))
            write_json(path, {**known, name: environment}, scratch)
    return name


def _entries(store: Store) -> dict[str, Any] | None:
    """Return env.json as it is; None if it is missing or cannot be read."""
    try:
        content = load_json(store.folder / "env.json")
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None

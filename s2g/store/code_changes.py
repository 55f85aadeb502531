"""Runs that differ from a new one in the user's own code alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2g.config.schema import canonical
from s2g.engine.run import Run
from s2g.errors import DamageError
from s2g.store.store import Store


def code_changes(run: Run, root: str | Path) -> str:
    """Return "fading.py changed since run KEY", naming the latest such run below `root`; "" if there is none."""
    identity = run.identity()
    if "code" not in identity or Store.of(run, root).folder.exists():
        return ""
    earlier = []
    for file in Path(root).absolute().glob("*/run.json"):
        try:
            stored = Store(file.parent).read_run()
        except (DamageError, OSError):
            continue
        if file.parent.name != run.key and _without_code(stored.get("identity", {})) == _without_code(identity):
            earlier.append((stored["begun"], stored["key"], stored["identity"].get("code", {})))
    if not earlier:
        return ""
    _, key, code = max(earlier, key=lambda entry: entry[:2])
    return f"{changed_files(code, identity['code'])} changed since run {key}: this is another run"


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return the names of the files that differ, comma-separated."""
    return ", ".join(sorted(name for name in {*before, *now} if before.get(name) != now.get(name)))


def _without_code(identity: Mapping[str, Any]) -> str:
    return canonical({key: value for key, value in identity.items() if key != "code"})

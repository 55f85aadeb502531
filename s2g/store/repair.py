"""What is damaged is made anew, and held against what was recorded."""

from __future__ import annotations

import contextlib
from collections import Counter

from rich.console import Console

from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.resolve import restore
from s2g.errors import DamageError, UserError
from s2g.store.code_changes import changed_files
from s2g.store.items import name_of
from s2g.store.locks import Locks
from s2g.store.store import Store
from s2g.store.verify import LEFT_OVER, Examined


def repair(store: Store, examined: Examined, console: Console, workers: int | None = None, replace: bool = False) -> list[str]:
    """Make damaged units anew, drop what was left over; what was done, a line each.

    A damaged unit keeps its record until the new one replaces it, so that a repair that fails loses nothing; and unless
    `replace`, none is replaced if an item that is whole would change. UserError then, and if this version, or these
    weights, would make other samples; UnitsFailedError if a unit cannot be made.
    """
    about = store.read_run()
    run = restore(about["config"], max(about["num"], 2))
    if run.key != store.folder.name:
        files = changed_files(about["identity"].get("code", {}), run.identity().get("code", {}))
        reason = f"{files} changed since" if files else "another version of s2g, or other weights"
        raise UserError(
            f"{store.shown()}: what it describes is {run.key} by now ({reason})",
            todo="repair it with the version, the weights and the code that it was made with",
        )
    told = []
    for finding in examined.findings:
        if finding.kind == LEFT_OVER and finding.path.startswith("scores/"):
            for end in (".json", ".npz"):
                (store.folder / finding.path).with_suffix(end).unlink(missing_ok=True)
            told.append(f"{finding.path}: removed")
    told += [f"{name}: removed" for name in Locks(store.folder).sweep()]
    before = {unit: hashes for unit in examined.again if (hashes := _hashes(store, unit))}
    if examined.again:
        damaged = {finding.path.removeprefix("items/") for finding in examined.findings if finding.bad}
        keep = {unit: {} if replace else _without(before.get(unit, {}), damaged) for unit in examined.again}
        with LocalExecutor(ExecutorConfig(workers=workers, device=_device(store))) as executor:
            root = str(store.folder.parent)
            execute([run], root, executor, about["fixed"]["reuse"], console, again=keep).check(run)
    for unit in examined.again:
        made = _hashes(store, unit)
        differing = sum(before[unit].get(file) != digest for file, digest in made.items()) if unit in before else 0
        if unit not in before:
            told.append(f"unit {unit}: made anew; there was no record to hold it against")
        elif differing:
            told.append(f"unit {unit}: made anew; {differing} of {len(made)} items differ from those recorded (see env.json)")
        else:
            told.append(f"unit {unit}: made anew, the same bytes as recorded")
    return told


def _hashes(store: Store, unit: int) -> dict[str, str]:
    with contextlib.suppress(DamageError):
        record = store.record(unit)
        return {name_of(entry): entry["sha256"] for entry in [*record["items"], *record.get("beside", ())]}
    return {}


def _without(hashes: dict[str, str], damaged: set[str]) -> dict[str, str]:
    return {file: digest for file, digest in hashes.items() if file not in damaged}


def _device(store: Store) -> str:
    """The kind of device most units of the run were made on: another one rounds differently."""
    devices = Counter(about["device"] for about in store.environments().values())
    return devices.most_common(1)[0][0] if devices else "auto"

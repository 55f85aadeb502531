"""Sample damaged units again and compare them with their records."""

from __future__ import annotations

import contextlib
from collections import Counter

from rich.console import Console

from s2g.config.kernels import Kernels
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.resolve import restore
from s2g.engine.run import Run
from s2g.errors import DamageError, UserError
from s2g.store.code_changes import changed_files
from s2g.store.env_file import environments
from s2g.store.items import name_of
from s2g.store.locks import Locks
from s2g.store.store import Store
from s2g.store.verify import LEFT_OVER, Examined


def restored(store: Store) -> Run:
    """Return a stored run as it would be sampled now; UserError if that would be another run."""
    about = store.read_run()
    run = restore(about["config"], max(about["num"], 2))
    if run.key != store.folder.name:
        files = changed_files(about["identity"].get("code", {}), run.identity().get("code", {}))
        reason = f"{files} changed since" if files else "another version of s2g, or other weights"
        raise UserError(
            f"{store.display_path()}: its configuration now has the key {run.key} ({reason})",
            todo="use the version, the weights and the code that it was made with",
        )
    return run


def repair(store: Store, examined: Examined, console: Console, workers: int | None = None, replace: bool = False) -> list[str]:
    """Sample damaged units again and remove leftovers; return a line for each.

    A damaged unit keeps its record until the new one replaces it, so a failed repair loses nothing. UserError if this
    version or these weights would sample something else or, unless `replace`, if an undamaged item would change;
    UnitsFailedError if a unit fails.
    """
    run, about = restored(store), store.read_run()
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
            execute(
                [run], root, executor, about["fixed"]["reuse"], console, again=keep, kernels=Kernels.of(about["fixed"])
            ).check(run)
    for unit in examined.again:
        made = _hashes(store, unit)
        differing = sum(before[unit].get(file) != digest for file, digest in made.items()) if unit in before else 0
        if unit not in before:
            told.append(f"unit {unit}: sampled again; there was no record to compare it with")
        elif differing:
            told.append(f"unit {unit}: sampled again; {differing} of {len(made)} items differ from the record (env.json)")
        else:
            told.append(f"unit {unit}: sampled again, the same bytes as recorded")
    return told


def _hashes(store: Store, unit: int) -> dict[str, str]:
    with contextlib.suppress(DamageError):
        record = store.record(unit)
        return {name_of(entry): entry["sha256"] for entry in [*record["items"], *record.get("beside", ())]}
    return {}


def _without(hashes: dict[str, str], damaged: set[str]) -> dict[str, str]:
    return {file: digest for file, digest in hashes.items() if file not in damaged}


def _device(store: Store) -> str:
    """Return the device on which most units of the run were sampled, since another kind rounds differently."""
    devices = Counter(about["device"] for about in environments(store).values())
    return devices.most_common(1)[0][0] if devices else "auto"

"""Verify a stored run: hash every item against its record and list everything that does not belong there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from s2g.engine.run import key_of
from s2g.errors import DamageError
from s2g.io.json_files import load_json
from s2g.store.env_file import environments
from s2g.store.items import FILES, name_of
from s2g.store.locks import Locks
from s2g.store.score_files import items_digest, read_arrays
from s2g.store.store import Reader, Store, numbered

KNOWN = {"run.json", "env.json", "journal.jsonl", "items", "units", "scores", "failed", "locks", "judged"}
SCORE = re.compile(r"[0-9a-f]{12}\.(json|npz)")
DAMAGED, INCOMPLETE, LEFT_OVER, SET_ASIDE, FOREIGN, AT_WORK, LOST = (
    "damaged",  # not what was written; sampled again by --repair
    "no record",  # items of a unit that was never finished, or lost its record; sampled again by --repair
    "left over",  # of a process that has ended, or a score of other items; removed by --repair
    "set aside",  # a unit that failed; the run's command tries it again
    "foreign",  # not part of a run; left alone
    "at work",  # being sampled by a process
    "lost",  # knowledge of the units that cannot be recovered
)


@dataclass(frozen=True)
class Finding:
    """A problem, or something else worth reporting."""

    kind: str
    path: str  # relative to the run's folder
    problem: str
    unit: int | None = None

    @property
    def bad(self) -> bool:
        """Whether items are damaged or incomplete."""
        return self.kind in (DAMAGED, INCOMPLETE)


@dataclass(frozen=True)
class Examined:
    """What was verified and what was found."""

    units: int
    items: int
    missing: int  # units that were requested and are not stored
    findings: list[Finding]

    @property
    def again(self) -> list[int]:
        """The units to sample again."""
        return sorted({finding.unit for finding in self.findings if finding.bad and finding.unit is not None})


def examine(store: Store, threads: int, advance: Callable[[int], None] = lambda items: None) -> Examined:
    """Hash every item of every record and check everything else in the folder.

    advance: called with the number of items hashed since the last call. Items that cannot be read at all (a disk error)
    are findings like the others. DamageError if run.json is damaged.
    """
    about = store.read_run()
    size = about["identity"]["model"]["unit"]
    findings: list[Finding] = []
    if about["key"] != store.folder.name or key_of(about["identity"], about["key"].rpartition("-")[0]) != about["key"]:
        findings.append(Finding(DAMAGED, "run.json", f"says {about['key']}; what it describes has another key"))
    units = sorted(store.stored())
    good: dict[int, dict[str, Any]] = {}
    with ThreadPoolExecutor(threads) as pool:
        for unit, record, found in pool.map(lambda unit: _unit(store, unit, size), units):
            findings += found
            if record is not None:
                good[unit] = record
            advance(size)
    findings += _items(store, size)
    findings += _failed(store)
    findings += _scores(store, size, good.get)
    working = Locks(store.folder).working()
    findings += [Finding(AT_WORK, f"locks/{name}", f"by {owner}") for name, owner in working if name.isdigit()]
    findings += _strangers(store.folder)
    known = environments(store)
    unknown = sum(record["environment"] not in known for record in good.values())
    if unknown:
        findings.append(Finding(LOST, "env.json", f"no longer lists the environments of {unknown} units"))
    requested = -(-about["num"] // size)
    missing = requested - sum(unit < requested for unit in units)
    return Examined(len(units), len(units) * size, missing, findings)


def examine_names(store: Store) -> list[Finding]:
    """Return the findings that need no hashing: what does not belong in the folder."""
    size = store.read_run()["identity"]["model"]["unit"]

    @cache
    def record(unit: int) -> dict[str, Any] | None:
        try:
            return store.record(unit)
        except (DamageError, OSError):
            return None

    return [*_items(store, size), *_scores(store, size, record), *_strangers(store.folder)]


def _unit(store: Store, unit: int, size: int) -> tuple[int, dict[str, Any] | None, list[Finding]]:
    path = f"units/{unit:06d}.json"
    try:
        record = store.record(unit)
    except DamageError as error:
        return unit, None, [Finding(DAMAGED, path, error.problem, unit)]
    except OSError as error:
        return unit, None, [Finding(DAMAGED, path, f"cannot be read: {error.strerror}", unit)]
    if [entry["item"] for entry in record["items"]] != list(range(unit * size, (unit + 1) * size)):
        return unit, None, [Finding(DAMAGED, path, "lists items of another unit", unit)]
    found = []
    reader = Reader(store.folder)
    for entry in [*record["items"], *record.get("beside", ())]:
        if "file" not in entry:  # only its checksum was kept
            continue
        try:
            reader.verified(entry)
        except DamageError as error:
            found.append(Finding(DAMAGED, f"items/{name_of(entry)}", error.problem, unit))
        except OSError as error:
            found.append(Finding(DAMAGED, f"items/{name_of(entry)}", f"cannot be read: {error.strerror}", unit))
    return unit, record, found


def _items(store: Store, size: int) -> Iterator[Finding]:
    """Yield files in items/ that belong to no recorded unit."""
    # In this order, a unit that another process starts or stores meanwhile is not taken for a leftover.
    paths = _entries(store.folder / "items")
    working = dict(Locks(store.folder).working())
    units = store.stored()
    for path in paths:
        known = FILES.fullmatch(path.name)
        if known is None:
            yield Finding(FOREIGN, f"items/{path.name}", "is not an item's file")
            continue
        unit = int(known["unit"]) if known["unit"] else int(known["item"]) // size
        if unit not in units and f"{unit:06d}" not in working:
            yield Finding(INCOMPLETE, f"items/{path.name}", f"unit {unit} has no record", unit)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def _failed(store: Store) -> Iterator[Finding]:
    for unit in sorted(store.failed()):
        yield Finding(SET_ASIDE, f"failed/{unit:06d}.json", store.why_failed(unit), unit)


def _scores(store: Store, size: int, record: Callable[[int], dict[str, Any] | None]) -> Iterator[Finding]:
    """Yield scores that no longer describe these items."""
    requested = store.read_run()["num"]
    for path in _entries(store.folder / "scores"):
        if not SCORE.fullmatch(path.name):
            yield Finding(FOREIGN, f"scores/{path.name}", "is not a score's file")
            continue
        if path.suffix == ".npz" and path.with_suffix(".json").exists():
            continue
        try:
            num = int(load_json(path)["n"]) if path.suffix == ".json" else 0
        except (OSError, ValueError, KeyError, TypeError):
            num = 0
        if num > requested:
            yield Finding(LEFT_OVER, f"scores/{path.name}", "is of more items than were requested")
            continue
        records = [record(unit) for unit in range(-(-num // size))]
        if None in records:
            continue  # its items are unknown until the units are repaired
        digest = items_digest([found for found in records if found is not None], num)
        if read_arrays(store, path.stem, digest) is None:
            yield Finding(LEFT_OVER, f"scores/{path.name}", "is damaged, or its items have changed; it will be measured again")


def _strangers(folder: Path) -> Iterator[Finding]:
    """Yield what the engine never writes, and what ended processes left behind."""
    for path in _entries(folder):
        if path.name not in KNOWN:
            yield Finding(FOREIGN, path.name, "is not part of a run")
    for place in ("units", "failed"):
        ours = {f"{number:06d}.json" for number in numbered(folder / place, ".json")}
        for path in _entries(folder / place):
            if path.name not in ours:
                yield Finding(FOREIGN, f"{place}/{path.name}", "is not a unit's file")
    for name in Locks(folder).abandoned():
        yield Finding(LEFT_OVER, name, "of a process that has ended")

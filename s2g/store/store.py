"""Where samples live: runs/<key>/{run.json, env.json, journal.jsonl, items/, units/, scores/, failed/}.

A unit counts as stored when its record exists. The record is written last and holds the sha256 of every item, and its
own: what a stopped process left behind is never mistaken for samples, and what is damaged later is found out when it
is read. What is missing is a set difference. locks/ and tmp/ are there only while somebody works.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from s2g.config.schema import canonical
from s2g.engine.run import Run
from s2g.errors import DamageError, UserError
from s2g.io.atomic import flush_folder, write_bytes, write_json, write_together
from s2g.store.items import STILL, Content, Film, name_of, own_bytes, packed, value_of
from s2g.store.locks import guard
from s2g.store.retention import KEEPS, FeatureBench, Kept, serves


@dataclass(frozen=True)
class Store:
    """The folder of one run."""

    folder: Path

    @staticmethod
    def of(run: Run, root: str | Path) -> Store:
        """The run's place below `root`, whether or not it exists yet."""
        return Store(Path(root).absolute() / run.key)

    def shown(self) -> str:
        """The folder as a user would type it."""
        here = Path.cwd()
        return str(self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder)

    def begin(self, run: Run, reuse: bool) -> None:
        """Make the folder and its run.json, or hold this start against the one that is there."""
        try:
            for name in ("items", "units", "scores"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            begun = self._begun(run, reuse)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(
                f"runs = {self.folder.parent}: cannot be written ({error.strerror})",
                todo="give a folder you may write to: runs=FOLDER",
            ) from error
        fixed = begun["fixed"]["reuse"]
        if fixed != reuse:
            raise UserError(
                f"executor.reuse = {str(reuse).lower()}: run {run.key} was begun with {str(fixed).lower()}",
                todo=f"keep executor.reuse={str(fixed).lower()}, or use another folder: runs=FOLDER",
            )

    def _begun(self, run: Run, reuse: bool) -> dict[str, Any]:
        """run.json, written if it is not there or says less items than are wanted now."""
        file = self.folder / "run.json"
        if file.exists() and (begun := self.read_run())["num"] >= run.num and not _more(run.config, begun["config"]):
            return begun
        with self.alone("begin") as scratch:
            begun = self.read_run() if file.exists() else None
            if begun is None:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                begun = {"key": run.key, "identity": run.identity(), "fixed": {"reuse": reuse}, "begun": now, "num": 0}
                if run.random:
                    begun["random_weights"] = True
            kept = begun.get("config", {}) if _more(begun.get("config", {}), run.config) else run.config
            begun |= {"num": max(run.num, begun["num"]), "config": kept}
            write_json(file, {**begun, "check": checksum(begun)}, scratch)
        return begun

    @contextlib.contextmanager
    def alone(self, purpose: str) -> Iterator[Path]:
        """For writing a file of the run's own, one process at a time; gives the place for temporary names."""
        place = self.folder / "tmp"
        scratch = place / f"{purpose}.{os.getpid()}.{secrets.token_hex(4)}"
        with guard(self.folder):
            try:
                scratch.mkdir(parents=True)
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
                with contextlib.suppress(OSError):  # others are at work
                    place.rmdir()

    def read_run(self) -> dict[str, Any]:
        """run.json: key, identity, config, fixed, num (the most items anybody asked for), begun; DamageError.

        random_weights is there, and true, where any weights are random.
        """
        path = self.folder / "run.json"
        todo = "move it away and type the run's command again"
        try:
            content = json.loads(path.read_text())
            check = content.pop("check")
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamageError(path, "does not say what the run is", todo) from error
        if check != checksum(content):
            raise DamageError(path, "is not what was written: its sum differs", todo)
        return content

    def add_environment(self, environment: dict[str, Any]) -> str:
        """Note in env.json on what units are made from now on; its id, which their records bear."""
        name = checksum(environment)[:8]
        path = self.folder / "env.json"
        if name not in self.environments():
            with self.alone("environment") as scratch:
                known = self.environments()
                if path.exists() and len(known) != _entries(path):  # what it said of earlier units is not thrown away
                    path.rename(path.with_name(f"env.json.damaged.{secrets.token_hex(2)}"))
                write_json(path, {**known, name: environment}, scratch)
        return name

    def environments(self) -> dict[str, dict[str, Any]]:
        """env.json: by id, in what surroundings units were made; without what is not as it was written."""
        try:
            content = json.loads((self.folder / "env.json").read_text())
        except (OSError, ValueError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {name: value for name, value in entries if checksum(value)[:8] == name}

    def stored(self) -> set[int]:
        """Indices of the units that are complete."""
        return numbered(self.folder / "units", ".json")

    def missing(self, run: Run) -> list[int]:
        """Indices of the units the run still lacks, ascending; those of which less was kept than its bench needs as well."""
        return sorted(set(run.units) - self.usable(run))

    def usable(self, run: Run) -> set[int]:
        """Return the stored units of the run that hold what its bench needs."""
        stored = {unit for unit in self.stored() if unit in run.units}
        return {unit for unit in stored if self.serves(run, unit)} if isinstance(run.bench, FeatureBench) else stored

    def serves(self, run: Run, unit: int) -> bool:
        """Whether a unit is complete, and enough of it was kept for the run's bench."""
        if not isinstance(run.bench, FeatureBench) or not self.has(unit):
            return self.has(unit)
        with contextlib.suppress(DamageError):  # what is damaged is said when it is read
            return serves(self.record(unit), run.bench.sink)
        return True

    def has(self, unit: int) -> bool:
        """Whether a unit is complete."""
        return self.record_path(unit).exists()

    def record_path(self, unit: int) -> Path:
        """Where a unit's record is."""
        return self.folder / "units" / f"{unit:06d}.json"

    def record(self, unit: int) -> dict[str, Any]:
        """A unit's record; DamageError if it is not what was written."""
        path = self.record_path(unit)
        try:
            record = json.loads(path.read_text())
            if record.pop("check") == checksum(record) and record["unit"] == unit:
                return record
        except FileNotFoundError as error:
            raise DamageError(path, "is gone") from error
        except OSError as error:
            raise DamageError(path, f"cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamageError(path, "cannot be read as a record") from error
        raise DamageError(path, "is not what was written: its sum differs")

    def records(self, units: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Records one after another."""
        return (self.record(unit) for unit in units)

    def put(
        self,
        unit: int,
        items: Sequence[int],
        values: np.ndarray,
        facts: dict[str, Any],
        scratch: Path,
        keep: Mapping[str, str] | None = None,
        kept: Kept | None = None,
        film: Film = STILL,
    ) -> None:
        """Write uint8 images [B, H, W, 3], videos [B, F, H, W, 3] or float32 points [B, ...], then the record of them.

        keep: sha256 by name of stored items that are whole; UserError, and nothing written, if one would change.
        kept: what a bench's sink has kept, beside or instead of the images. UserError if the unit is made again because
        more is to be kept, and its images would be others.
        """
        files, listed, beside = packed(unit, items, values, kept, film)
        if kept is not None:
            facts = {**facts, "kept": kept.form, "sink": kept.sink, **({"beside": beside} if beside else {})}
            if keep is None:
                self._same_images(unit, listed)
        changed = [
            name_of(entry)
            for entry in [*listed, *beside]
            if keep and keep.get(name_of(entry), entry["sha256"]) != entry["sha256"]
        ]
        if changed:
            raise UserError(
                f"unit {unit}: {len(changed)} whole items would be replaced by others ({changed[0]} …)",
                todo="repair it on the kind of machine and with the torch that made it (s2g show RUN), or add --replace",
            )
        write_together(self.folder / "items", files, scratch)
        record = json.loads(canonical({"unit": unit, "items": listed, **facts}))
        write_bytes(self.record_path(unit), (canonical({**record, "check": checksum(record)}) + "\n").encode(), scratch)
        flush_folder(self.folder / "units")
        (self.folder / "failed" / f"{unit:06d}.json").unlink(missing_ok=True)

    def _same_images(self, unit: int, listed: Sequence[Mapping[str, Any]]) -> None:
        """UserError if a unit that is stored had other images than those that would take its place."""
        if not self.has(unit):
            return
        with contextlib.suppress(DamageError):
            before = {entry["item"]: entry.get("pixels") for entry in self.record(unit)["items"]}
            changed = sum(before.get(entry["item"], entry["pixels"]) != entry["pixels"] for entry in listed)
            if changed:
                raise UserError(
                    f"unit {unit}: more is to be kept of it, so it was made again, and {changed} of its images are others",
                    todo="go on on the kind of machine and with the torch that made it (s2g show RUN), or use runs=FOLDER",
                )

    def set_aside(self, unit: int, facts: dict[str, Any]) -> Path:
        """Note that a unit could not be made; where."""
        path = self.folder / "failed" / f"{unit:06d}.json"
        with self.alone("failed") as scratch:
            path.parent.mkdir(exist_ok=True)
            write_json(path, {"unit": unit, **facts}, scratch)
        return path

    def failed(self) -> set[int]:
        """Units that were set aside, and are not stored."""
        aside = numbered(self.folder / "failed", ".json")
        return aside - self.stored() if aside else aside

    def items(self, items: Sequence[int]) -> np.ndarray:
        """Stored items [len(items), ...]: images, videos (uint8, channels last) or points; DamageError names a damaged one.

        UserError where a bench had something else kept than images.
        """
        size = self.read_run()["identity"]["model"]["unit"]
        records = list(self.records(sorted({item // size for item in items})))
        less = next((record["kept"] for record in records if record.get("kept") in ("none", "features")), "")
        if less:
            raise UserError(
                f"{self.shown()}: its images were not kept (bench.keep={less})",
                todo="the run's command with bench.keep=png makes them again",
            )
        return self._rows([entry for record in records for entry in record["items"]], items)

    def features(self, unit: int) -> np.ndarray:
        """What a bench's sink read of a unit's items: float32 [B, D]; DamageError if it is not what was written."""
        record = self.record(unit)
        entries = record["items"] if record["kept"] == "features" else record["beside"]
        return self._rows(entries, [entry["item"] for entry in entries])

    def _rows(self, entries: Sequence[dict[str, Any]], items: Sequence[int]) -> np.ndarray:
        by_item, reader = {entry["item"]: entry for entry in entries}, Reader(self)
        return np.stack([value_of(by_item[item], reader.whole(by_item[item])) for item in items])

    def read_item(self, entry: dict[str, Any]) -> bytes:
        """The bytes of an item's file by its entry in a record; DamageError if the item is not what was written."""
        return Reader(self).whole(entry).bytes


class Reader:
    """Items one after another; a file that several share is read once as long as they follow each other."""

    def __init__(self, store: Store) -> None:
        self.folder = store.folder / "items"
        self._file, self._content = "", Content(b"")

    def whole(self, entry: Mapping[str, Any]) -> Content:
        """The file of an item that is what was written; DamageError if it is not."""
        path, where = self.folder / entry["file"], f" in row {entry['row']}" if "row" in entry else ""
        if entry["file"] != self._file:
            self._file, self._content = "", _read(path)
            self._file = entry["file"]
        try:
            own = own_bytes(entry, self._content)
        except ValueError as error:
            raise DamageError(path, f"is not what was written{where}: it cannot be read as an array") from error
        if hashlib.sha256(own).hexdigest() != entry["sha256"]:
            raise DamageError(path, f"is not what was written{where}: its sha256 differs from the record's")
        return self._content


def _read(path: Path) -> Content:
    try:
        return Content(path.read_bytes())
    except FileNotFoundError as error:
        raise DamageError(path, "is gone") from error
    except OSError as error:
        raise DamageError(path, f"cannot be read ({error.strerror})") from error


def numbered(folder: Path, end: str) -> set[int]:
    """Numbers of the files NNNNNN<end> of a folder; none if there is no folder."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return set()
    stems = (name.removesuffix(end) for name in names if name.endswith(end))
    return {int(stem) for stem in stems if stem.isascii() and stem.isdigit() and stem == f"{int(stem):06d}"}


def _more(config: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a run of `config` keeps more of its images than one of `other`: a repair is to make as much again."""
    one, two = (about.get("bench", {}).get("keep", "none") for about in (config, other))
    return one in KEEPS and two in KEEPS and KEEPS.index(one) > KEEPS.index(two)


def _entries(path: Path) -> int:
    """How many entries a JSON file has; -1 if it is none."""
    try:
        return len(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return -1


def checksum(content: Any) -> str:
    """sha256 of plain data."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()

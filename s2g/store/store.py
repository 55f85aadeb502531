"""The folder of a run: runs/<key>/{run.json, env.json, journal.jsonl, items/, units/, scores/, failed/}.

A unit is stored once its record exists. The record is written last and holds the sha256 of every item and of itself, so
files of an interrupted process are never taken for samples, and later damage is noticed on reading. The units still to
be sampled are a set difference. locks/ exists only while a process works on the run.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from s2g.config.kernels import DEFAULT, Kernels
from s2g.config.schema import canonical
from s2g.engine.run import Run
from s2g.errors import DamageError, UserError
from s2g.io.atomic import flush_folder, write_bytes, write_json, write_together
from s2g.io.json_files import load_json
from s2g.store.items import STILL, Film, name_of, packed, value_of
from s2g.store.locks import Locks
from s2g.store.reader import Reader
from s2g.store.retention import KEEPS, FeatureBench, Kept, suffices
from s2g.store.shapes import RECORD, RUN_FILE


@dataclass(frozen=True)
class Store:
    """The folder of one run, by its absolute path."""

    folder: Path

    @staticmethod
    def of(run: Run, root: str | Path) -> Store:
        """Return the run's folder below `root`, whether or not it exists yet."""
        return Store(Path(root).absolute() / run.key)

    def display_path(self) -> str:
        """Return the folder as a user would type it."""
        here = Path.cwd()
        return str(self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder)

    def begin(self, run: Run, reuse: bool, kernels: Kernels = DEFAULT) -> None:
        """Create the folder and run.json, or check this start against the run.json of an earlier one.

        What is fixed may change as long as no unit is stored and no other process uses the run. UserError where the folder
        cannot be written, or the run was started with another `reuse` or other kernels; OSError for a full disk.
        """
        try:
            for name in ("items", "units", "scores"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            about = self._open_run_file(run, {"reuse": reuse, **kernels.facts()})
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(
                f"runs = {self.folder.parent}: cannot be written ({error.strerror})",
                todo="runs=FOLDER, a folder that you may write to",
            ) from error
        begun = {"reuse": about["fixed"]["reuse"], **vars(Kernels.of(about["fixed"]))}
        for name, value in {"reuse": reuse, **vars(kernels)}.items():
            if begun[name] != value:
                asked, fixed = (str(each).lower() for each in (value, begun[name]))
                raise UserError(
                    f"executor.{name} = {asked}: run {run.key} was started with {fixed}",
                    todo=f"keep executor.{name}={fixed}, or use another folder: runs=FOLDER",
                )

    def _open_run_file(self, run: Run, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Return run.json; write it first if it is missing, or states fewer items or images kept than this start wants."""
        file = self.folder / "run.json"
        if file.exists():
            about = self.read_run()
            wants_more = about["num"] < run.num or _keeps_more(run.config, about["config"])
            if not (wants_more or self._may_change(about, fixed)):
                return about
        with self.exclusive() as scratch:
            if file.exists():  # read again: another process may have written it since
                about = self.read_run()
                about |= {"fixed": dict(fixed)} if self._may_change(about, fixed) else {}
            else:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                about = {"key": run.key, "identity": run.identity(), "fixed": dict(fixed), "begun": now, "num": 0}
                about |= {"random_weights": True} if run.random else {}
            config = about["config"] if _keeps_more(about.get("config", {}), run.config) else run.config
            about |= {"num": max(run.num, about["num"]), "config": config}
            write_json(file, {**about, "check": checksum(about)}, scratch)
        return about

    def _may_change(self, about: Mapping[str, Any], fixed: Mapping[str, Any]) -> bool:
        """Return whether run.json fixes something else, with which nobody has sampled or is about to."""
        locks = Locks(self.folder)
        others = (owner for _, owner in locks.working() if owner != locks.me)
        return about["fixed"] != fixed and not self.stored() and not any(others)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Path]:
        """Hold the lease under which the run's shared files are written; yields a folder for temporary files."""
        with Locks(self.folder).waited_for("write") as lock:
            yield lock.scratch

    def read_run(self) -> dict[str, Any]:
        """Return run.json: key, identity, config, fixed, num (the most items ever requested), begun.

        random_weights is present, and true, if any weights are random. DamageError if the file is not what was written.
        """
        path = self.folder / "run.json"
        todo = "move it away and repeat the run's command"
        try:
            content = load_json(path)
            check = content.pop("check")
            RUN_FILE.validate_python(content, strict=True)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamageError(path, "does not say what the run is", todo) from error
        if check != checksum(content):
            raise DamageError(path, "is not what was written: its checksum differs", todo)
        return content

    def stored(self) -> set[int]:
        """Return the indices of all complete units."""
        return numbered(self.folder / "units", ".json")

    def missing(self, run: Run) -> list[int]:
        """Return the indices of units to sample, ascending: those not stored, and those that keep less than the bench needs."""
        return sorted(set(run.units) - self.usable(run))

    def usable(self, run: Run) -> set[int]:
        """Return the stored units of the run that hold what its bench needs."""
        stored = {unit for unit in self.stored() if unit in run.units}
        return {unit for unit in stored if self.suffices(run, unit)} if isinstance(run.bench, FeatureBench) else stored

    def suffices(self, run: Run, unit: int) -> bool:
        """Return whether a unit is complete and keeps enough for the run's bench."""
        if not isinstance(run.bench, FeatureBench) or not self.has(unit):
            return self.has(unit)
        with contextlib.suppress(DamageError):  # damage is reported when the unit is read
            return suffices(self.record(unit), run.bench.extractor)
        return True

    def has(self, unit: int) -> bool:
        """Return whether a unit is complete."""
        return self.record_path(unit).exists()

    def record_path(self, unit: int) -> Path:
        """Return the path of a unit's record."""
        return self.folder / "units" / f"{unit:06d}.json"

    def record(self, unit: int) -> dict[str, Any]:
        """Return a unit's record; DamageError if it is not what was written."""
        path = self.record_path(unit)
        try:
            record = load_json(path)
            if record.pop("check") == checksum(record) and record["unit"] == unit:
                RECORD.validate_python(record)
                return record
        except FileNotFoundError as error:
            raise DamageError(path, "is gone") from error
        except OSError as error:
            raise DamageError(path, f"cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamageError(path, "cannot be read as a record") from error
        raise DamageError(path, "is not what was written: its checksum differs")

    def records(self, units: Iterable[int]) -> list[dict[str, Any]]:
        """Return the records of several units; DamageError names the first that is not what was written."""
        return [self.record(unit) for unit in units]

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
        """Write uint8 images [B, H, W, 3], videos [B, F, H, W, 3] or float32 points [B, ...], then their record.

        keep: sha256 by name of undamaged stored items; UserError, and nothing written, if one of them would change.
        kept: what to store beside or instead of the images. UserError if the unit is sampled again only to keep more,
        and its images differ.
        """
        files, listed, beside = packed(unit, items, values, kept, film)
        if kept is not None:
            facts = {**facts, "kept": kept.form, "sink": kept.extractor, **({"beside": beside} if beside else {})}
            if keep is None:
                self._same_images(unit, listed)
        changed = [
            name_of(entry)
            for entry in [*listed, *beside]
            if keep and keep.get(name_of(entry), entry["sha256"]) != entry["sha256"]
        ]
        if changed:
            raise UserError(
                f"unit {unit}: {len(changed)} undamaged items would be replaced by different ones ({changed[0]} …)",
                todo="repair on the kind of machine and with the torch version that made it (s2g show RUN), or add --replace",
            )
        write_together(self.folder / "items", files, scratch)
        record = json.loads(canonical({"unit": unit, "items": listed, **facts}))
        write_bytes(self.record_path(unit), (canonical({**record, "check": checksum(record)}) + "\n").encode(), scratch)
        flush_folder(self.folder / "units")
        (self.folder / "failed" / f"{unit:06d}.json").unlink(missing_ok=True)

    def _same_images(self, unit: int, listed: Sequence[Mapping[str, Any]]) -> None:
        """Raise UserError if a stored unit has other images than those that would replace them."""
        if not self.has(unit):
            return
        with contextlib.suppress(DamageError):
            before = {entry["item"]: entry.get("pixels") for entry in self.record(unit)["items"]}
            changed = sum(before.get(entry["item"], entry["pixels"]) != entry["pixels"] for entry in listed)
            if changed:
                raise UserError(
                    f"unit {unit}: sampled again to keep more of it, and {changed} of its images differ from those stored",
                    todo="continue on the kind of machine and with the torch that made it (s2g show RUN), or runs=FOLDER",
                )

    def set_aside(self, unit: int, facts: dict[str, Any]) -> Path:
        """Note in failed/ that a unit could not be made; return the path of the note."""
        path = self.folder / "failed" / f"{unit:06d}.json"
        with self.exclusive() as scratch:
            path.parent.mkdir(exist_ok=True)
            write_json(path, {"unit": unit, **facts}, scratch)
        return path

    def failed(self) -> set[int]:
        """Return the units that were set aside and are not stored."""
        aside = numbered(self.folder / "failed", ".json")
        return aside - self.stored() if aside else aside

    def why_failed(self, unit: int) -> str:
        """Return why a unit was set aside; empty if it was not."""
        try:
            return str(load_json(self.folder / "failed" / f"{unit:06d}.json")["error"])
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError):
            return "failed"

    def items(self, items: Sequence[int]) -> np.ndarray:
        """Return stored items [len(items), ...]: images or videos (uint8, channels last) or points (float32).

        DamageError names an item that is not what was written; UserError where images were not kept.
        """
        size = self.read_run()["identity"]["model"]["unit"]
        records = self.records(sorted({item // size for item in items}))
        less = next((record["kept"] for record in records if record.get("kept") in ("none", "features")), "")
        if less:
            raise UserError(
                f"{self.display_path()}: its images were not kept (bench.keep={less})",
                todo="repeat the run's command with bench.keep=png: it samples them again",
            )
        return self._rows([entry for record in records for entry in record["items"]], items)

    def features(self, unit: int) -> np.ndarray:
        """Return the stored features of a unit's items, float32 [B, D]; DamageError if they are not what was written."""
        record = self.record(unit)
        entries = record["items"] if record["kept"] == "features" else record["beside"]
        return self._rows(entries, [entry["item"] for entry in entries])

    def _rows(self, entries: Sequence[dict[str, Any]], items: Sequence[int]) -> np.ndarray:
        by_item, reader = {entry["item"]: entry for entry in entries}, Reader(self.folder)
        return np.stack([value_of(by_item[item], reader.verified(by_item[item])) for item in items])

    def read_item(self, entry: dict[str, Any]) -> bytes:
        """Return the bytes of an item's file, given its entry in a record; DamageError if it is not what was written."""
        return Reader(self.folder).verified(entry).bytes


def numbered(folder: Path, end: str) -> set[int]:
    """Return the numbers of a folder's files NNNNNN<end>; none if there is no folder."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return set()
    stems = (name.removesuffix(end) for name in names if name.endswith(end))
    return {int(stem) for stem in stems if stem.isascii() and stem.isdigit() and stem == f"{int(stem):06d}"}


def _keeps_more(config: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether `config` keeps more of the images than `other`; run.json holds the larger, for repairs."""
    one, two = (about.get("bench", {}).get("keep", "none") for about in (config, other))
    return one in KEEPS and two in KEEPS and KEEPS.index(one) > KEEPS.index(two)


def checksum(content: Any) -> str:
    """Return the sha256 of plain data."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()

"""Garbage: files in a run that no record lists, and runs that no table refers to."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2g.errors import DamageError
from s2g.io.input_files import is_litter
from s2g.io.json_files import load_json
from s2g.store.locks import FOLDER, Locks
from s2g.store.store import Store
from s2g.store.verify import INCOMPLETE, LEFT_OVER, examine_names

REFERENCES = "*runs.json"  # written beside each table and page as {"runs": [keys]}: runs.json, NAME.runs.json


@dataclass(frozen=True)
class Garbage:
    """A file or folder of a run, or a whole run, that may be deleted."""

    run: Path
    path: Path
    why: str
    size: int  # bytes

    def remove(self) -> bool:
        """Delete it unless it has come into use since it was listed; return whether it is gone."""
        if self.path == self.run:
            return _remove_run(self.run)
        if self.path.is_relative_to(self.run / FOLDER):
            Locks(self.run).sweep()
        elif self.path.parent.name == "items":
            return self._remove_item()
        else:
            with Store(self.run).exclusive():
                self.path.unlink(missing_ok=True)
        return not self.path.exists()

    def _remove_item(self) -> bool:
        store, locks = Store(self.run), Locks(self.run)
        unit = int(self.path.stem) // store.read_run()["identity"]["model"]["unit"]
        try:
            lock = locks.acquire(f"{unit:06d}")
            if lock is None or store.has(unit):  # being sampled by another process, or stored
                return False
            self.path.unlink(missing_ok=True)
            return True
        finally:
            locks.close()


def _remove_run(folder: Path) -> bool:
    if folder.suffix == ".going":
        shutil.rmtree(folder)
        return True
    if Locks(folder).working():
        return False
    going = folder.rename(folder.with_name(f".{folder.name}.going"))  # so that no process finds half of it
    if Locks(going).working():  # one that began since it was asked
        going.rename(folder)
        return False
    shutil.rmtree(going)
    return True


def leftovers(root: str | Path) -> list[Garbage]:
    """Return what is left over inside runs: files of interrupted units and ended processes, and unreadable scores."""
    going = [path.absolute() for path in sorted(Path(root).glob(".*.going"))]  # interrupted deletions
    found = [Garbage(path, path, "a run half deleted", size_of(path)) for path in going]
    for folder in _folders(root):
        store = Store(folder)
        try:
            findings = examine_names(store)
        except DamageError:
            continue
        for finding in findings:
            if finding.kind in (INCOMPLETE, LEFT_OVER):
                place = folder / finding.path
                found.append(Garbage(folder, place, f"{finding.kind}: {finding.problem}", size_of(place)))
    return found


def unreferenced(root: str | Path, referring: Sequence[Path]) -> list[Garbage]:
    """Return the runs that no table or page refers to and no process uses."""
    named = referenced(referring)
    free = [folder for folder in _folders(root) if folder.name not in named and not Locks(folder).working()]
    return [Garbage(folder, folder, "", size_of(folder)) for folder in free]


def _folders(root: str | Path) -> list[Path]:
    folders = [path.parent.absolute() for path in sorted(Path(root).glob("[!.]*/run.json"))]
    return [folder for folder in folders if not folder.is_symlink()]


def referenced(places: Sequence[Path]) -> set[str]:
    """Return the keys in all reference files below these folders; DamageError for a file that cannot be read."""
    keys: set[str] = set()
    for place in places:
        for path in (path for path in sorted(place.rglob(REFERENCES)) if not is_litter(path.name)):
            try:
                keys |= {str(key) for key in load_json(path)["runs"]}
            except (ValueError, KeyError, TypeError) as error:
                raise DamageError(path, "does not list the runs it refers to", "write the table again, or delete it") from error
    return keys


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

"""What nothing refers to: files in a run that no record names, and runs that no table names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2g.engine.locks import Locks
from s2g.engine.store import Store
from s2g.engine.verify import INCOMPLETE, LEFT_OVER, examine_names
from s2g.errors import DamageError

REFERENCES = "runs.json"  # what a table or page writes beside itself: {"runs": [keys]}


@dataclass(frozen=True)
class Garbage:
    """A file or folder that may go."""

    path: Path
    why: str
    size: int  # bytes

    def remove(self) -> None:
        """Delete it."""
        if self.path.is_dir():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


def leftovers(root: str | Path) -> list[Garbage]:
    """Inside runs: files of interrupted units, of processes that are gone, and scores that can no longer be read."""
    found = []
    for path in sorted(Path(root).glob("*/run.json")):
        store = Store(path.parent.absolute())
        try:
            findings = examine_names(store)
        except DamageError:
            continue
        for finding in findings:
            if finding.kind in (INCOMPLETE, LEFT_OVER):
                place = store.folder / finding.path
                found.append(Garbage(place, f"{finding.kind}: {finding.problem}", size_of(place)))
    return found


def unreferenced(root: str | Path, referring: Sequence[Path]) -> list[Garbage]:
    """Whole runs that no table or page names and nobody is working on."""
    named = referenced(referring)
    found = []
    for path in sorted(Path(root).glob("*/run.json")):
        folder = path.parent.absolute()
        if folder.name not in named and not Locks(folder).working():
            found.append(Garbage(folder, "", size_of(folder)))
    return found


def referenced(places: Sequence[Path]) -> set[str]:
    """Keys of the runs that the runs.json below these folders name; one that cannot be read is an error, not an empty list."""
    keys: set[str] = set()
    for place in places:
        for path in sorted(place.rglob(REFERENCES)):
            try:
                keys |= {str(key) for key in json.loads(path.read_text())["runs"]}
            except (ValueError, KeyError, TypeError) as error:
                raise DamageError(path, "does not say which runs it refers to", "make the table anew, or remove it") from error
    return keys


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

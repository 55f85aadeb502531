"""The progress of stored runs, from file names and the end of the journal; no record is opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s2g.errors import DamageError
from s2g.store.journal import Journal
from s2g.store.locks import Locks, Owner
from s2g.store.store import Store

LATELY = 64  # stored units over which the rate is averaged


@dataclass(frozen=True)
class State:
    """The state of one run: numbers of units, who works on it and how fast."""

    key: str
    size: int  # items of a unit
    wanted: int  # units requested so far
    done: int  # units stored
    failed: int  # units set aside
    working: dict[Owner, int]  # owner -> units it is sampling
    rate: float | None  # recent items per second, while a process works on it
    last: datetime | None  # when the last unit was stored
    problem: str = ""  # why the state is unknown

    @property
    def missing(self) -> int:
        """The number of units still to be sampled."""
        return self.wanted - self.done

    @property
    def left(self) -> float | None:
        """Seconds until the last unit at the current rate; None if unknown."""
        return self.missing * self.size / self.rate if self.rate and self.missing else None


def states(root: str | Path) -> list[State]:
    """Return the state of every run below `root`, by name."""
    return [state_of(Store(folder.absolute())) for folder in run_folders(root)]


def run_folders(root: str | Path) -> list[Path]:
    """Return the folders of all runs below `root`, by name."""
    return [path.parent for path in sorted(Path(root).glob("[!.]*/run.json"))]


def state_of(store: Store) -> State:
    """Return the state of one run."""
    try:
        about = store.read_run()
    except DamageError as error:
        return State(store.folder.name, 0, 0, 0, 0, {}, None, None, error.problem)
    except OSError as error:
        return State(store.folder.name, 0, 0, 0, 0, {}, None, None, error.strerror or "cannot be read")
    size = about["identity"]["model"]["unit"]
    units = range(-(-about["num"] // size))
    stored = store.stored()
    working: dict[Owner, int] = {}
    for name, owner in Locks(store.folder).working():
        if name.isdigit():
            working[owner] = working.get(owner, 0) + 1
    events = list(Journal(store.folder).events(lately=True))
    rate, last = pace(events)
    done, failed = (sum(unit in units for unit in found) for found in (stored, store.failed()))
    return State(about["key"], size, len(units), done, failed, working, rate if working else None, last)


def pace(events: list[dict[str, Any]]) -> tuple[float | None, datetime | None]:
    """Return items per second over the last units since the last start, and when the last unit was stored."""
    starts = [place for place, event in enumerate(events) if event["event"] == "start"]
    lately = [event for event in events[starts[-1] if starts else 0 :] if _stored(event)][-LATELY:]
    ever = [event for event in events if _stored(event)]
    last = _at(ever[-1]) if ever else None
    first = events[starts[-1]] if starts and len(lately) < LATELY else lately[0] if lately else None
    if first is None or not lately:
        return None, last
    counted = lately if first is not lately[0] else lately[1:]
    seconds = (_at(lately[-1]) - _at(first)).total_seconds()
    return (sum(event["items"] for event in counted) / seconds if seconds > 0 else None), last


def _stored(event: dict[str, Any]) -> bool:
    return event["event"] == "stored" and isinstance(event.get("items"), int)


def _at(event: dict[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(event["at"])
    except (KeyError, TypeError, ValueError):
        return datetime.fromtimestamp(0, UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)

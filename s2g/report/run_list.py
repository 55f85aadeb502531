"""Stored runs told apart: what was typed, when each was begun, how many items it has, and its headline score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from s2g.config.typed import overrides_of, words
from s2g.errors import DamageError
from s2g.scoring.headline import Headline, headline
from s2g.store.store import Store

ORDERS = ("date", "score")
IN_MESSAGES = 20  # runs listed in an error message


@dataclass(frozen=True)
class Summary:
    """One stored run in a list."""

    store: Store
    typed: str  # overrides, on one line
    begun: str  # ISO 8601
    num: int  # the most items anybody asked for
    score: Headline | None

    @property
    def date(self) -> str:
        """Return when the run was begun, local time, to the minute."""
        return f"{datetime.fromisoformat(self.begun).astimezone():%Y-%m-%d %H:%M}" if self.begun else ""

    @property
    def line(self) -> str:
        """Return everything on one line."""
        return f"{self.store.folder.name}: {self.typed}; {self.date}, n = {self.num}, {self.score or '–'}"


def summary(store: Store) -> Summary:
    """Return what tells a run apart; a run whose run.json is damaged has only its name."""
    try:
        about = store.read_run()
    except (DamageError, OSError):
        return Summary(store, "run.json cannot be read", "", 0, None)
    return Summary(store, words(overrides_of(about["config"])), about["begun"], about["num"], headline(store))


def in_order(summaries: Iterable[Summary], order: str) -> list[Summary]:
    """Sort by date, newest first, or by score: by metric, the best first, and runs without a score last, newest first."""
    newest = sorted(summaries, key=lambda one: one.begun, reverse=True)
    if order == "date":
        return newest
    return sorted(newest, key=lambda one: (0, *one.score.rank) if one.score else (1, "", 0.0))


def run_lines(folders: Sequence[Path]) -> str:
    """Return the newest runs one on a line, for an error message."""
    listed = in_order((summary(Store(folder.absolute())) for folder in folders), "date")
    more = f"\n    and {len(listed) - IN_MESSAGES} more: s2g status lists all" if len(listed) > IN_MESSAGES else ""
    return "\n    ".join(["", *(one.line for one in listed[:IN_MESSAGES])]) + more

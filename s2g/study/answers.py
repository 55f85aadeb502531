"""Participants and their answers: one SQLite file. What `vote` returned from is on disk, whatever happens to the process."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2g.errors import UserError

FILE = "answers.sqlite"
VERSION = 1
TOKEN_BYTES = 24  # 192 bits: a link cannot be guessed
SCHEMA = f"""
CREATE TABLE fixed (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE participants (id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, made REAL NOT NULL) STRICT;
CREATE TABLE pages (
  participant INTEGER NOT NULL REFERENCES participants, place INTEGER NOT NULL,
  trial INTEGER NOT NULL, shots TEXT NOT NULL, PRIMARY KEY (participant, place)
) STRICT;
CREATE TABLE answers (
  participant INTEGER NOT NULL, place INTEGER NOT NULL, choices TEXT NOT NULL, seconds REAL NOT NULL,
  saved REAL NOT NULL, changes INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (participant, place),
  FOREIGN KEY (participant, place) REFERENCES pages (participant, place)
) STRICT;
PRAGMA user_version = {VERSION};
"""
SAVE = """
INSERT INTO answers (participant, place, choices, seconds, saved) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (participant, place) DO UPDATE
SET choices = excluded.choices, seconds = excluded.seconds, saved = excluded.saved, changes = changes + 1
"""
PAGE = """
SELECT pages.trial, pages.shots, answers.choices FROM pages LEFT JOIN answers USING (participant, place)
WHERE pages.participant = ? AND pages.place = ?
"""
EVERYBODY = """
SELECT participants.id, token, count(pages.place), count(answers.place), max(answers.saved)
FROM participants JOIN pages ON pages.participant = participants.id LEFT JOIN answers USING (participant, place)
GROUP BY participants.id ORDER BY participants.id
"""
EVERYTHING = """
SELECT participant, trial, place, choices, seconds, changes FROM answers JOIN pages USING (participant, place)
ORDER BY participant, place
"""

Choices = Mapping[str, Sequence[str]]  # by criterion, the shots that were chosen
Pages = Sequence[tuple[int, Sequence[str]]]  # in order: the index of a trial, and its shots in the order shown


@dataclass(frozen=True)
class Participant:
    """Somebody with a personal link, and how far they are."""

    number: int
    token: str
    pages: int
    answered: int
    saved: float | None  # when the last answer was saved, seconds since 1970


@dataclass(frozen=True)
class Page:
    """A page of one participant: the trial's index, its shots in the order shown, and the answer if there is one."""

    trial: int
    shots: Sequence[str]
    choices: Choices | None


@dataclass(frozen=True)
class Answer:
    """A saved answer."""

    participant: int
    trial: int
    place: int  # of the page, from 1
    choices: Choices
    seconds: float  # from the page's first display to its answer
    changes: int  # how often it was replaced


class Answers:
    """The answers of one study. Threads may share it: a statement at a time, each commit written through to disk."""

    def __init__(self, folder: Path, make: bool = False) -> None:
        """Open the file, or make it; UserError if it is not there or of another version."""
        path = folder / FILE
        if not make and not path.is_file():
            raise UserError(f"{path}: not there", todo="s2g study new RUN RUN ... makes a study")
        if make:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._file, self._reader = _connected(path), _connected(path)  # in WAL mode nobody waits for a commit to read
        if make:
            self._file.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        (version,) = self._file.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            self.close()
            raise UserError(f"{path}: version {version}, not {VERSION}", todo="use the S2G that made the study")

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._file.close()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fix(self, name: str, value: str) -> None:
        """Hold a value fixed from the first answer on; UserError if answers were given under another one."""
        with self._lock, self._file:
            self._file.execute("BEGIN IMMEDIATE")
            (answers,) = self._file.execute("SELECT count(*) FROM answers").fetchone()
            before = self._file.execute("SELECT value FROM fixed WHERE name = ?", (name,)).fetchone()
            if answers and before is not None and before[0] != value:
                raise UserError(
                    f"study.yaml: {value}; {answers} answers were given under {before[0]}",
                    todo="restore what it was, or make a new study",
                )
            self._file.execute("INSERT OR REPLACE INTO fixed VALUES (?, ?)", (name, value))

    def add(self, count: int, most: int, pages_of: Callable[[int], Pages]) -> None:
        """Add `count` participants, numbered on from the last, each with a link and pages; UserError beyond `most` in all."""
        with self._lock, self._file:
            self._file.execute("BEGIN IMMEDIATE")
            (before,) = self._file.execute("SELECT count(*) FROM participants").fetchone()
            if not 1 <= count <= most - before:
                raise UserError(f"participants: {count}, beside {before}", allowed=f"at least 1, and {most:,} in all")
            for number in range(before + 1, before + count + 1):
                token = secrets.token_urlsafe(TOKEN_BYTES)
                self._file.execute("INSERT INTO participants VALUES (?, ?, ?)", (number, token, time.time()))
                rows = [
                    (number, place, trial, json.dumps(list(shots))) for place, (trial, shots) in enumerate(pages_of(number), 1)
                ]
                self._file.executemany("INSERT INTO pages VALUES (?, ?, ?, ?)", rows)

    def number_of(self, token: str) -> int | None:
        """Return the number of the participant with this personal link, or None."""
        found = self._rows("SELECT id FROM participants WHERE token = ?", (token,))
        return found[0][0] if found else None

    def page(self, participant: int, place: int) -> Page | None:
        """Return a participant's page, from 1, or None if there is none."""
        found = self._rows(PAGE, (participant, place))
        if not found:
            return None
        trial, shots, choices = found[0]
        return Page(trial, json.loads(shots), None if choices is None else json.loads(choices))

    def progress(self, participant: int) -> tuple[int, int, int]:
        """Return how many pages are answered, how many there are, and the first that is not answered (one past the last)."""
        places = self._rows("SELECT place FROM answers WHERE participant = ? ORDER BY place", (participant,))
        ((count,),) = self._rows("SELECT count(*) FROM pages WHERE participant = ?", (participant,))
        answered = {place for (place,) in places}
        return len(answered), count, next(place for place in range(1, count + 2) if place not in answered)

    def vote(self, participant: int, place: int, choices: Choices, seconds: float) -> None:
        """Save an answer, replacing an earlier one of the same page."""
        text = json.dumps({name: list(shots) for name, shots in choices.items()}, sort_keys=True)
        with self._lock:
            self._file.execute(SAVE, (participant, place, text, seconds, time.time()))

    def everybody(self) -> list[Participant]:
        """Return all participants and how far they are."""
        return [Participant(*row) for row in self._rows(EVERYBODY)]

    def everything(self) -> list[Answer]:
        """Return all answers by participant and place."""
        rows = self._rows(EVERYTHING)
        return [Answer(who, trial, place, json.loads(text), took, times) for who, trial, place, text, took, times in rows]

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        with self._reading:
            return self._reader.execute(statement, values).fetchall()


def _connected(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    # WAL's default would leave the last commits to the operating system: a power failure could take an acknowledged vote.
    file.execute("PRAGMA synchronous = FULL")
    file.execute("PRAGMA foreign_keys = ON")
    return file

"""A study's folder: study.yaml, material.json, media/, answers.sqlite, and the secrets of its links."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.errors import UserError
from s2g.io.json_files import load_json
from s2g.study.answers import TOKEN_BYTES, Answers
from s2g.study.material import Material, read_material
from s2g.study.order import pages_of
from s2g.study.specification import StudySpec, read_specification

SPECIFICATION = "study.yaml"
SECRETS = "secrets.json"
MOST = 1000  # participants


@dataclass(frozen=True)
class Study:
    """A study as its folder holds it, its answers open."""

    folder: Path
    spec: StudySpec
    material: Material
    answers: Answers
    admin: str  # the token of the page that shows all personal links
    _stamp_key: str

    @staticmethod
    def open(folder: Path) -> Study:
        """Open a study; UserError if the folder holds none, or what is fixed was changed after the first answer."""
        material, spec = read_material(folder), read_specification(folder / SPECIFICATION)
        try:
            raw: Any = load_json(folder / SECRETS)
            admin, key = str(raw["admin"]), str(raw["stamp"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder / SECRETS}: cannot be read ({error})", todo="make the study again") from error
        answers = Answers(folder)
        try:
            answers.fix("questions", spec.fixed)
        except UserError:
            answers.close()
            raise
        return Study(folder, spec, material, answers, admin, key)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.close()

    def invite(self, count: int) -> None:
        """Add `count` participants, each with a personal link and an order of pages; UserError beyond 1000 in all."""
        self.answers.add(count, MOST, lambda number: pages_of(self.material, number))

    def is_admin(self, token: str) -> bool:
        """Return whether a token is that of the page with all links."""
        return hmac.compare_digest(token.encode(), self.admin.encode())

    def stamp(self, *place: object) -> str:
        """Return when a form was first shown, signed with what it is for: nobody else can write one, and it ends no session."""
        return self._signed(round(time.time() * 1000), place)

    def shown(self, stamp: str, *place: object) -> float | None:
        """Return the seconds since a form was first shown, from its stamp; None if the stamp is not one of this form's."""
        made, _, _ = stamp.partition(".")
        if not (made.isascii() and made.isdigit() and len(made) < 16):
            return None
        if not hmac.compare_digest(stamp.encode(), self._signed(int(made), place).encode()):
            return None
        return time.time() - int(made) / 1000

    def _signed(self, made: int, place: tuple[object, ...]) -> str:
        words = "/".join(map(str, (made, *place))).encode()
        return f"{made}.{hmac.new(self._stamp_key.encode(), words, hashlib.sha256).hexdigest()}"


def write_secrets(folder: Path) -> None:
    """Write new secrets, readable by their owner alone."""
    content = {"admin": secrets.token_urlsafe(TOKEN_BYTES), "stamp": secrets.token_hex(32)}
    descriptor = os.open(folder / SECRETS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream)

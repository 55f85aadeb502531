"""What is shown: prompts, and pictures under names that say nothing; which method made which stays in material.json."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from s2g.errors import UserError
from s2g.io.atomic import write_json
from s2g.io.json_files import load_json

FILE = "material.json"
MEDIA = "media"
SCHEMA = 1


@dataclass(frozen=True)
class Method:
    """A method of the study: its name in results, its label in tables, and the run that made its pictures."""

    name: str
    label: str
    run: str


@dataclass(frozen=True)
class Trial:
    """A prompt and its pictures, one per method and in their order: stems of files in media/."""

    prompt: str
    item: int
    shots: tuple[str, ...]
    whole: int | None = None  # of an attention check: index of the only picture that is not scrambled


@dataclass(frozen=True)
class Material:
    """All that is shown. `sha256` holds the names of the files in media/ that may be served."""

    methods: tuple[Method, ...]
    trials: tuple[Trial, ...]
    seed: int  # of the choice of prompts and of every order
    width: int  # of a picture, in pixels
    height: int
    fps: int  # of videos; 0: images
    pixelated: bool  # small pictures are enlarged without smoothing
    note: str  # what the prompts are
    sha256: Mapping[str, str]

    @property
    def what(self) -> str:
        """Return "picture" or "video"."""
        return "video" if self.fps else "picture"

    @cached_property
    def method_of(self) -> dict[str, int]:
        """Return the index of the method that made each shot of a trial which is no attention check."""
        return {shot: at for trial in self.trials if trial.whole is None for at, shot in enumerate(trial.shots)}

    def write(self, folder: Path) -> None:
        """Write material.json."""
        write_json(folder / FILE, {"schema": SCHEMA, **asdict(self)})


ADAPTER = TypeAdapter(Material)


def read_material(folder: Path) -> Material:
    """Read material.json; UserError if the folder is no study, or the file is not one of this version."""
    path = folder / FILE
    try:
        raw: dict[str, Any] = load_json(path)
        if not isinstance(raw, dict) or raw.pop("schema", None) != SCHEMA:
            raise UserError(f"{path}: written by another version of S2G", todo="make the study again")
        found = ADAPTER.validate_python(raw)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no study", todo="s2g study new RUN RUN ... makes one") from error
    except (ValueError, ValidationError) as error:
        raise UserError(f"{path}: cannot be read ({error})", todo="make the study again") from error
    return replace(found, sha256=dict(found.sha256))


def check_media(folder: Path, material: Material) -> None:
    """Raise UserError if a picture is not what was written: votes would be about something else."""
    for name, digest in material.sha256.items():
        path = folder / MEDIA / name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})", todo="make the study again") from error
        if found != digest:
            raise UserError(f"{path}: is not what was written", todo="make the study again")

"""The prompts of HPSv2: four styles of 800 from their official data set, or lists of one's own; each a JSON list of strings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2g.benchmarks.hps import published
from s2g.benchmarks.prompts.prompt_file import wrong_with
from s2g.config.schema import canonical
from s2g.errors import MissingError, SeveralError, UserError, lacks
from s2g.io.input_files import is_litter
from s2g.io.text_files import parse_json, read_text

STYLES = ("anime", "concept-art", "paintings", "photo")  # the official order
COUNT = 800  # prompts of a style
LISTS = ("official", "own")
KEY = "bench.path"
LIST = 'a list of strings: ["a cat", …]'
FETCH = (
    f"s2g fetch hps (from {published.DATA_SET}, a data set of the hub), "
    f"or {KEY}=FOLDER with {STYLES[0]}.json … {STYLES[-1]}.json"
)


@dataclass(frozen=True)
class Listed:
    """The prompts of one style, and the sha256 of them as canonical JSON: spaces and line ends of the file are no matter."""

    style: str
    prompts: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Return what identifies the prompts."""
        return hashlib.sha256(canonical(list(self.prompts)).encode()).hexdigest()


def folders(path: str) -> list[Path]:
    """List where lists are looked for: the typed path, or S2G_DATA's folder and that of `s2g fetch hps`."""
    if path:
        return [Path(path).expanduser()]
    data = os.environ.get("S2G_DATA")
    return [*([Path(data) / "prompts" / "hps"] if data else []), published.place() / "prompts"]


def load(path: str, which: str) -> tuple[Listed, ...]:
    """Read the lists in order of styles; UserError naming every file that is missing or not the expected one.

    own: one file, or every .json of a folder, of any length. official: 800 prompts of each style, and those of the first
    fetch where there was one.
    """
    if which == "own":
        return _own(path)
    errors, found = [], []
    for style in STYLES:
        try:
            found.append(_official(path, style))
        except UserError as error:
            errors.append(error)
    if len(errors) == len(STYLES) and all(map(lacks, errors)):  # one thing, not four
        where = " or ".join(str(folder) for folder in folders(path))
        raise MissingError(
            KEY,
            path or "not given",
            f"no file {', '.join(f'{style}.json' for style in STYLES)} in {where}",
            allowed=f"4 lists of {COUNT} prompts",
            todo=FETCH,
        )
    if errors:
        raise SeveralError.of(errors)
    return tuple(found)


def _official(path: str, style: str) -> Listed:
    files = [folder / f"{style}.json" for folder in folders(path)]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise MissingError(KEY, path or "not given", f"no file {files[-1]}", todo=FETCH)
    listed = read(file)
    if len(listed.prompts) != COUNT:
        raise UserError(
            f"{KEY}: {file} has {len(listed.prompts)} prompts, not {COUNT}",
            todo="s2g fetch hps; or bench.prompt_list=own takes lists of any length, and its scores are not comparable",
        )
    before = published.recorded()["prompts"].get(style)
    if before is not None and before["sha256"] != listed.sha256:
        raise UserError(
            f"{KEY}: {file} was edited: its prompts are not those of the first fetch{_where(style, listed)} "
            f"(sha256 {listed.sha256[:12]}, recorded {before['sha256'][:12]})",
            todo=f"delete {file} and s2g fetch hps; or bench.prompt_list=own, and its scores are not comparable",
        )
    return listed


def official() -> bool:
    """Return whether official lists are known to be official: those of every style were recorded at a fetch."""
    return all(style in published.recorded()["prompts"] for style in STYLES)


def _where(style: str, listed: Listed) -> str:
    """Name the first prompt that differs from the fetched list, if that can be read."""
    try:
        fetched = read(published.place() / "prompts" / f"{style}.json")
    except UserError:
        return ""
    pairs = enumerate(zip(fetched.prompts, listed.prompts, strict=False))
    return next((f", first number {at}: {ours!r}" for at, (theirs, ours) in pairs if theirs != ours), "")


def _own(path: str) -> tuple[Listed, ...]:
    if not path:
        raise UserError(f"{KEY} is not given, and bench.prompt_list = own", todo=f"{KEY}=FILE.json or FOLDER")
    place = Path(path).expanduser()
    files = [place] if place.is_file() else sorted(file for file in place.glob("*.json") if not is_litter(file.name))
    if not files:
        raise MissingError(KEY, path, "no file there, or no .json in it", allowed=f"JSON, {LIST}")
    order = {style: at for at, style in enumerate(STYLES)}
    return tuple(sorted((read(file) for file in files), key=lambda listed: (order.get(listed.style, len(order)), listed.style)))


def read(file: Path) -> Listed:
    """Read one list; UserError for a file that is none, or an entry that is no prompt."""
    key = f"{KEY}: {file}"
    content = parse_json(read_text(file, key), key, LIST)
    if not isinstance(content, list) or not content or not all(isinstance(prompt, str) for prompt in content):
        raise UserError(f"{key} is no list of prompts", allowed=LIST)
    for at, prompt in enumerate(content):
        if wrong := wrong_with(prompt):
            raise UserError(f"{key}, prompt {at} {wrong}")
    return Listed(file.stem, tuple(content))


def lists_id(lists: Sequence[Listed]) -> Mapping[str, str]:
    """Return the sha256 that identifies the prompts, by style."""
    return {listed.style: listed.sha256 for listed in lists}

"""DPG-Bench's prompts and questions: the official files, known by their hashes, or some of one's own in their form.

Source: TencentQQGYLab/ELLA (Apache-2.0), dpg_bench/dpg_bench.csv and dpg_bench/prompts/ID.txt, at the commit named below.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2g.benchmarks.prompts.prompt_file import wrong_with
from s2g.errors import MissingError, UserError
from s2g.io.cache import cache_folder
from s2g.io.input_files import read_regular
from s2g.io.text_files import read_text

KEY = "bench.path"
CSV, TEXTS = "dpg_bench.csv", "prompts"
COMMIT = "3c228f1dc6c4d3cad0a47493816151a419f14db3"
CSV_BLOB = "98457fc9901943f51ff9a30367250fc292533bed"  # git's name of the file's content at that commit
TEXTS_SHA256 = (
    "6149816930d52aec5dbf2daf42e83951d4f9621fcc667c9853e1241f9a648766"  # of all prompts by ID, as `texts_sha256` has it
)
COUNT = 1065
LISTS = ("official", "own")
CATEGORIES = ("entity", "attribute", "relation", "global", "other")
COLUMNS = ("item_id", "text", "proposition_id", "dependency", "tuple", "question_natural_language")
FORM = f"a CSV file with columns {', '.join(COLUMNS)}"
FETCH = "s2g fetch dpg (TencentQQGYLab/ELLA, Apache-2.0)"


@dataclass(frozen=True)
class Asked:
    """A question about an image: yes is right; it counts only where its parents, questions of the same prompt, have a yes."""

    id: int
    text: str
    parents: tuple[int, ...]
    category: str  # one of CATEGORIES


@dataclass(frozen=True)
class Prompt:
    """A prompt by its official ID, and its questions in the file's order."""

    id: str
    text: str
    questions: tuple[Asked, ...]


def fetched() -> Path:
    """Return the folder into which `s2g fetch dpg` puts the files."""
    return cache_folder() / "dpg"


def load(path: str, which: str) -> tuple[Prompt, ...]:
    """Read dpg_bench.csv and prompts/ in the folder `path` ("": in S2G_DATA or the cache); UserError naming what is wrong.

    which: official, whose hashes are required, or own: prompts are then the CSV's `text` where there is no prompts/.
    """
    data = os.environ.get("S2G_DATA")
    places = [Path(path).expanduser()] if path else [*([Path(data) / "prompts" / "dpg"] if data else []), fetched()]
    folder = next((place for place in places if (place / CSV).is_file()), None)
    if folder is None:
        where = " or ".join(str(place / CSV) for place in places)
        todo = f"{FETCH}, or {KEY}=FOLDER, such as ELLA/dpg_bench"
        raise MissingError(KEY, path or "(not given)", f"no file {where}", todo=todo)
    key = f"{KEY}: {folder / CSV}"
    content = read_text(folder / CSV, key)
    questions = read_questions(content, key)
    texts = {name: text for name, (text, _) in questions.items()}
    if (folder / TEXTS).is_dir():
        texts = {file.stem: read_text(file, f"{KEY}: {file}").strip() for file in sorted((folder / TEXTS).glob("*.txt"))}
    if which == "official":
        _check_official(read_regular(folder / CSV), texts, key)
    if lacking := sorted(set(questions) ^ set(texts)):
        raise UserError(f"{key} and {folder / TEXTS} are not of the same prompts: {lacking[0]} and {len(lacking) - 1} more")
    for name, text in texts.items():
        if wrong := wrong_with(text):
            raise UserError(f"{key}: the prompt of {name} {wrong}")
    return tuple(Prompt(name, texts[name], asked) for name, (_, asked) in questions.items())


def texts_sha256(texts: Mapping[str, str]) -> str:
    """Return the sha256 of prompts by ID, whatever their order."""
    return hashlib.sha256(json.dumps(dict(texts), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def blob(content: bytes) -> str:
    """Return git's name of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _check_official(content: bytes, texts: Mapping[str, str], key: str) -> None:
    own = "bench.prompt_list=own takes any in its form, and its scores are not comparable"
    if blob(content) != CSV_BLOB:
        said = f"it is not the file of commit {COMMIT[:7]} (git names it {blob(content)[:12]}, not {CSV_BLOB[:12]})"
        raise UserError(f"{key}: {said}", todo=f"{FETCH}; or {own}")
    if len(texts) != COUNT or texts_sha256(texts) != TEXTS_SHA256:
        raise UserError(
            f"{key}: the {len(texts)} prompts beside it are not the {COUNT} official ones", todo=f"{FETCH}; or {own}"
        )


def read_questions(content: str, key: str) -> dict[str, tuple[str, tuple[Asked, ...]]]:
    """Return (text, questions) by prompt ID, in the file's order; UserError with the line that is wrong."""
    rows = csv.DictReader(io.StringIO(content, newline=""))
    if absent := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        raise UserError(
            f"{key} is no file of DPG-Bench: it has no column {', '.join(absent)}",
            allowed=FORM,
            todo=f"{FETCH}, or {KEY}=FOLDER",
        )
    found: dict[str, tuple[str, list[Asked]]] = {}
    last = ""
    for row in rows:
        where = f"{key}, line {rows.line_num}"
        name = row["item_id"]
        if name in found and name != last:
            raise UserError(f"{where}: {name} again, and its other questions stand further up")
        last = name
        found.setdefault(name, (row["text"].strip(), []))[1].append(_question(row, where))
    for name, (_, asked) in found.items():
        check_parents(name, asked, key)
    if not found:
        raise UserError(f"{key}: it holds no question", allowed=FORM)
    return {name: (text, tuple(asked)) for name, (text, asked) in found.items()}


def _question(row: Mapping[str, str], where: str) -> Asked:
    try:
        number = int(row["proposition_id"])
        parents = tuple(parent for parent in map(int, row["dependency"].split(",")) if parent != 0)
    except (ValueError, AttributeError) as error:
        said = f"proposition_id = {row['proposition_id']}, dependency = {row['dependency']}"
        raise UserError(f"{where}: {said}", allowed="a whole number; whole numbers with commas, 0 for none") from error
    category = (row["tuple"] or "").partition("(")[0].partition("-")[0].strip()
    if category not in CATEGORIES:
        raise UserError(f"{where}: tuple = {row['tuple']!r}: no category", allowed=", ".join(CATEGORIES))
    text = row["question_natural_language"] or ""
    if not text.strip():
        raise UserError(f"{where}: it asks nothing")
    return Asked(number, text, parents, category)


def check_parents(name: str, asked: Sequence[Asked], key: str) -> None:
    """Raise UserError for a question that depends on one that its prompt does not have, or that is there twice."""
    ids = [question.id for question in asked]
    if len(set(ids)) < len(ids):
        raise UserError(f"{key}: {name} has a question twice: {sorted(ids)}")
    for question in asked:
        for parent in question.parents:
            if parent not in ids:
                raise UserError(
                    f"{key}: question {question.id} of {name} depends on question {parent}, which is missing",
                    todo=f"add it, or take it out of the question's dependency; the official file: {FETCH}",
                )

"""The prompts of GenEval 2 with their questions: the official file, known by its sha256, or one of one's own in its form.

Source: facebookresearch/GenEval2 (CC BY-NC 4.0), geneval2_data.jsonl, at the commit named below.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.benchmarks.prompts.prompt_file import wrong_with
from s2g.errors import MissingError, UserError
from s2g.io.cache import cache_folder
from s2g.io.text_files import lines_of, parse_json, read_text

KEY = "bench.path"
FILE = "geneval2_data.jsonl"
COMMIT = "a6e82d2289e8d418f27f0adee77908b07060eea3"
SHA256 = "09233adbc9f877fba205f1a20efa4a8640e7e62a91dfd55893562bed8a928e43"
COUNT = 800
LISTS = ("official", "own")
SKILLS = ("object", "attribute", "count", "position", "verb")  # the official analysis' order
FIELDS = ("prompt", "atom_count", "vqa_list", "skills")
FORM = '{"prompt": "two red cats", "atom_count": 3, "vqa_list": [["How many cats are in the image?", "two"], …], "skills": […]}'
FETCH = "s2g fetch geneval2 (facebookresearch/GenEval2, CC BY-NC 4.0, 0.4 MB)"
# Files of other benchmarks, by fields of their lines: what is taken for GenEval 2's most easily.
OTHERS = {"GenEval (the first)": {"tag", "include"}, "VBench": {"prompt_en", "dimension"}}


@dataclass(frozen=True)
class Prompt:
    """A prompt, its number of atoms, and what is asked about its image: (question, right answer, skill)."""

    text: str
    atoms: int
    questions: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Listed:
    """The prompts of a file in its order, and the sha256 of its bytes."""

    prompts: tuple[Prompt, ...]
    sha256: str


def fetched() -> Path:
    """Return the folder into which `s2g fetch geneval2` puts the file."""
    return cache_folder() / "geneval2"


def load(path: str, which: str) -> Listed:
    """Read the file at `path` (or in that folder; "": in S2G_DATA or the cache); UserError naming what is wrong with it.

    which: official, whose sha256 is required, or own.
    """
    data = os.environ.get("S2G_DATA")
    places = [Path(path).expanduser()] if path else [*([Path(data) / "prompts" / "geneval2"] if data else []), fetched()]
    files = [place / FILE if place.is_dir() or not path else place for place in places]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        where = " or ".join(map(str, files))
        raise MissingError(KEY, path or "(not given)", f"no file {where}", todo=f"{FETCH}, or {KEY}=FILE")
    key = f"{KEY}: {file}"
    content = read_text(file, key)
    lines = lines_of(content)
    prompts = tuple(_read(parse_json(line, f"{key}, line {at}", FORM), f"{key}, line {at}") for at, line in enumerate(lines, 1))
    if not prompts:
        raise UserError(f"{key}: it holds no prompt", allowed=FORM)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    if which == "official" and sha256 != SHA256:
        count = f"has {len(prompts)} prompts, not {COUNT}" if len(prompts) != COUNT else "was edited"
        raise UserError(
            f"{key} is not the official file (it {count}; sha256 {sha256[:12]}, not {SHA256[:12]})",
            todo=f"{FETCH}; or bench.prompt_list=own takes any in its form, and its scores are not comparable",
        )
    return Listed(prompts, sha256)


def _read(line: Any, where: str) -> Prompt:
    """Check one line of the file; UserError for one that is another benchmark's, or that does not hold together."""
    fields = set(line) if isinstance(line, dict) else set()
    if fields != set(FIELDS):
        of = next((name for name, marks in OTHERS.items() if marks <= fields), "")
        what = f"a line of {of}" if of else f"with {', '.join(sorted(map(str, fields))) or 'no fields'}"
        raise UserError(f"{where} is no prompt of GenEval 2: {what}", allowed=f"a line such as {FORM}", todo=FETCH)
    text, atoms, asked, skills = (line[name] for name in FIELDS)
    if not isinstance(text, str) or wrong_with(text):
        raise UserError(f"{where}: its prompt is none: {text!r}")
    if not isinstance(atoms, int) or atoms < 1:
        raise UserError(f"{where}: atom_count = {atoms!r}", allowed="a whole number from 1")
    pairs = isinstance(asked, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) and word.strip() for word in pair)
        for pair in asked
    )
    if not pairs or not asked:
        raise UserError(f"{where}: vqa_list is no list of [question, answer]", allowed=FORM)
    if not isinstance(skills, list) or len(skills) != len(asked) or not set(skills) <= set(SKILLS):
        raise UserError(f"{where}: skills = {skills}", allowed=f"{len(asked)} of {', '.join(SKILLS)}: one for each question")
    return Prompt(text, atoms, tuple((*pair, skill) for pair, skill in zip(asked, skills, strict=True)))


def most_questions(prompts: Sequence[Prompt]) -> int:
    """Return the largest number of questions about one image."""
    return max(len(prompt.questions) for prompt in prompts)

"""Files of prompts: one a line (.txt), JSON lines (.jsonl, .ndjson) or a JSON list (.json); any other kind is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s2g.config.coerce import at_least, coerce, only
from s2g.errors import UserError
from s2g.io.text_files import lines_of, parse_json, read_text

TEXT, JSON_LINES, JSON_LIST = (".txt", ""), (".jsonl", ".ndjson"), (".json",)
KINDS = ".txt of one prompt a line; .jsonl or .ndjson of one object a line; .json, a list of strings or objects"
OBJECT = '{"prompt": "a cat", "seed": 3}'


def read_prompts(path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Read prompts and, if every entry has one, seeds; UserError names the line, or the place in a list, that is wrong."""
    key = f"bench.path = {path}"
    prompts, seeds = [], []
    for where, entry in _entries(path, key):
        prompt, seed = (entry, None) if isinstance(entry, str) else _read_object(entry, where)
        if wrong := wrong_with(prompt):
            raise UserError(f"{where}: the prompt {wrong}", todo="write a prompt there, or take the entry out")
        prompts.append(prompt.strip())
        if seed is not None:
            seeds.append(seed)
        if seeds and len(seeds) < len(prompts):
            raise UserError(f"{where}: some lines have a seed and others have none", allowed="a seed in every line, or in none")
    if not prompts:
        raise UserError(f"{key}: it has no prompts", allowed=KINDS)
    return tuple(prompts), tuple(seeds)


def wrong_with(prompt: str) -> str:
    """Say why a string is no prompt, "" if it is one."""
    if not prompt.strip():
        return "is empty"
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        return "holds half of a surrogate pair, which is no character"
    return ""


def check_seed(seed: int, key: str) -> None:
    """Raise UserError unless 0 <= seed < 2^64, the range of `seed`."""
    at_least(seed, 0, key)
    if seed >= 2**64:
        raise UserError(f"{key} = {seed}", allowed="below 2^64")


def _entries(path: Path, key: str) -> Iterator[tuple[str, Any]]:
    """Yield where an entry stands, and the entry: a prompt, or what JSON holds in its place."""
    kind = path.suffix.lower()
    if kind not in (*TEXT, *JSON_LINES, *JSON_LIST):
        raise UserError(
            f"{key}: a {kind} file would be read as one prompt a line", allowed=KINDS, todo="save it as one of these"
        )
    text = read_text(path, key, todo=f"give a file: {KINDS}")
    if kind in JSON_LIST:
        entries = parse_json(text, key, f"a list of strings or of {OBJECT}")
        if not isinstance(entries, list):
            raise UserError(f"{key}: not a list", allowed=f"a list of strings or of {OBJECT}; .jsonl for one object a line")
        yield from ((f"{key}, entry {number}", entry) for number, entry in enumerate(entries, 1))
        return
    lines = lines_of(text)
    if kind in TEXT:
        _refuse_json(text, lines, key)
    for number, line in enumerate(lines, 1):
        where = f"{key}, line {number}"
        if "\r" in line.rstrip("\r"):
            raise UserError(f"{where}: a carriage return within the line", todo="save the file with \\n at the end of lines")
        yield where, parse_json(line, where, OBJECT) if kind in JSON_LINES else line


def _refuse_json(text: str, lines: list[str], key: str) -> None:
    """Raise UserError for JSON in a file of another name: its brackets would become parts of prompts."""
    for candidate, kind in ((text, ".json"), (lines[0] if lines else "", ".jsonl")):
        if candidate.lstrip().startswith(("{", "[")) and _is_json(candidate):
            raise UserError(f"{key}: it holds JSON, and its name says one prompt a line", todo=f"rename it to {kind}")


def _is_json(text: str) -> bool:
    try:
        parse_json(text, "", "")
    except UserError:
        return False
    return True


def _read_object(values: Any, where: str) -> tuple[str, int | None]:
    if not isinstance(values, dict) or not isinstance(values.get("prompt"), str):
        raise UserError(f"{where}: it has no prompt", allowed=OBJECT)
    only({"prompt", "seed"}, values, where)
    seed = coerce(int | None, values.get("seed"), f"{where}, seed")
    if seed is not None:
        check_seed(seed, f"{where}, seed")
    return values["prompt"], seed

"""Noun phrases of prompts from spaCy in its own environment, each prompt once, with the versions that found them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from s2g.benchmarks.compbench.prompts import fetched
from s2g.errors import MissingError, UserError
from s2g.io.cache import cache_folder
from s2g.io.hashing import content_hash
from s2g.io.input_files import is_litter
from s2g.scoring.isolated.child import values_of
from s2g.scoring.isolated.environment import Isolated, find

KEY = "bench.spacy"
ENVIRONMENT = "phrases"
MODEL = "en_core_web_sm-3.5.0-py3-none-any.whl"
SOURCE = f"explosion/spacy-models, release en_core_web_sm-3.5.0 (MIT), {MODEL}, 13 MB"


def model_place(typed: str) -> Path:
    """Return the wheel or folder of en_core_web_sm, `typed` or fetched by `s2g fetch compbench`; UserError if there is none."""
    path = Path(typed).expanduser() if typed else fetched() / MODEL
    noted = fetched() / f"{MODEL}.sha256"
    if not typed and path.is_file() and noted.is_file() and content_hash(path) != noted.read_text().strip():
        raise UserError(
            f"{KEY} = (not given): {path} is not what was fetched (sha256 {content_hash(path)[:12]}, noted "
            f"{noted.read_text().strip()[:12]})",
            todo=f"delete {path}, then s2g fetch compbench; a model of one's own: {KEY}=WHEEL or FOLDER",
        )
    if path.is_file() or (path.is_dir() and any(path.glob("**/config.cfg"))):
        return path
    raise MissingError(
        KEY,
        typed or "(not given)",
        f"no spaCy model en_core_web_sm 3.5.0 at {path}",
        todo=f"s2g fetch compbench ({SOURCE}), or {KEY}=WHEEL or FOLDER",
    )


def doubts(typed: str) -> list[str]:
    """Say why the phrases may not be those of the official model; [] for the wheel that `s2g fetch compbench` recorded."""
    noted = fetched() / f"{MODEL}.sha256"
    with contextlib.suppress(UserError):
        place = model_place(typed)
        if place.is_file() and noted.is_file() and content_hash(place) == noted.read_text().strip():
            return []
    return ["spaCy's model is not known to be en_core_web_sm 3.5.0 (s2g fetch compbench notes its sha256)"]


def identity(typed: str) -> dict[str, str]:
    """Return what determines the phrases: environment, child script and the model's bytes."""
    path = model_place(typed)
    files = [path]
    if path.is_dir():  # caches of Python's are no part of a model
        inside = (file for file in sorted(path.rglob("*")) if file.is_file() and not is_litter(file.name))
        files = [file for file in inside if "__pycache__" not in file.relative_to(path).as_posix()]
    digest = hashlib.sha256("".join(content_hash(file) for file in files).encode()).hexdigest()[:12]
    return {**environment().identity(), "model": digest}


def environment() -> Isolated:
    """Return spaCy's environment, built or not."""
    return find(ENVIRONMENT)


def phrases_of(prompts: Iterable[str], typed: str) -> dict[str, dict[str, Any]]:
    """Return {"phrases", "spacy", "model"} by prompt; IsolatedError with the child's log if spaCy fails."""
    wanted = list(dict.fromkeys(prompts))
    about = identity(typed)
    name = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:12]
    items = [{"key": prompt, "prompt": prompt} for prompt in wanted]
    settings = {"model": str(model_place(typed).absolute())}
    return values_of(environment(), items, cache_folder() / "phrases" / name, settings, depends={"model": about["model"]})

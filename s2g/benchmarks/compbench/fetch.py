"""`s2g fetch compbench`: T2I-CompBench's prompt files and spaCy's model."""

from __future__ import annotations

from collections.abc import Callable

from s2g.benchmarks.compbench import phrases
from s2g.benchmarks.compbench.prompts import BEFORE, CATEGORIES, COMMIT, OFFICIAL, OLDER, fetched
from s2g.io.download import download

RAW = "https://raw.githubusercontent.com/Karine-Huang/T2I-CompBench"
WHEEL = f"https://github.com/explosion/spacy-models/releases/download/en_core_web_sm-3.5.0/{phrases.MODEL}"


def addresses() -> dict[str, tuple[str, str | None]]:
    """Return address and sha256 by file name; None where no sha256 is published."""
    place = "examples/dataset"
    found: dict[str, tuple[str, str | None]] = {
        f"{name}_val.txt": (f"{RAW}/{COMMIT}/{place}/{name}_val.txt", OFFICIAL["2025-09"][name]) for name in CATEGORIES
    }
    found[OLDER[0]] = (f"{RAW}/{BEFORE.replace('^', '%5E')}/{place}/color_val.txt", OFFICIAL["before"]["color"])
    found[phrases.MODEL] = (WHEEL, None)
    return found


def fetch_file(name: str, get: Callable[[str], bytes] | None = None) -> str:
    """Download a file of `addresses` into the cache unless it is there; return what was done, UserError if that fails."""
    return download(fetched() / name, *addresses()[name], "get it by hand: bench.path=FOLDER bench.spacy=WHEEL", get)

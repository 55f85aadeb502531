"""s2g fetch compbench: the prompt files and spaCy's model from their official places, each held against what it is to be."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable

from s2g.benchmarks.compbench import phrases
from s2g.benchmarks.compbench.prompts import BEFORE, CATEGORIES, COMMIT, OFFICIAL, OLDER, fetched
from s2g.errors import UserError
from s2g.io.cache import put

RAW = "https://raw.githubusercontent.com/Karine-Huang/T2I-CompBench"
WHEEL = f"https://github.com/explosion/spacy-models/releases/download/en_core_web_sm-3.5.0/{phrases.MODEL}"
WAIT = 60  # seconds for an answer


def addresses() -> dict[str, tuple[str, str | None]]:
    """Return address and sha256 by file name; None where no sha256 is published: it is recorded at the first fetch."""
    place = "examples/dataset"
    found: dict[str, tuple[str, str | None]] = {
        f"{name}_val.txt": (f"{RAW}/{COMMIT}/{place}/{name}_val.txt", OFFICIAL["2025-09"][name]) for name in CATEGORIES
    }
    found[OLDER[0]] = (f"{RAW}/{BEFORE.replace('^', '%5E')}/{place}/color_val.txt", OFFICIAL["before"]["color"])
    found[phrases.MODEL] = (WHEEL, None)
    return found


def download(address: str) -> bytes:
    """Download what lies at an address; UserError if that fails."""
    try:
        with urllib.request.urlopen(address, timeout=WAIT) as answer:
            return answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"{address}: cannot be fetched ({error})",
            todo="make a network available; or get it by hand: bench.path=FOLDER bench.spacy=WHEEL",
        ) from error


def fetch_file(name: str, get: Callable[[str], bytes] = download) -> str:
    """Put a file into the cache's folder unless it is there; what was done. UserError if it is not what it is to be."""
    folder, (address, sha256) = fetched(), addresses()[name]
    noted = folder / f"{name}.sha256"
    wanted = sha256 or (noted.read_text().strip() if noted.is_file() else None)
    if (folder / name).is_file() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == wanted:
        return f"{name}: there"
    content = get(address)
    found = hashlib.sha256(content).hexdigest()
    if wanted is not None and found != wanted:
        raise UserError(
            f"{address}: not what it was (sha256 {found}, not {wanted})", todo=f"get {name} elsewhere, and put it into {folder}"
        )
    put(folder / name, content)
    if sha256 is None:
        put(noted, f"{found}\n".encode())
    return f"{name}: fetched, {len(content):,} bytes, sha256 {found}"

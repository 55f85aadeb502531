"""`s2g fetch vbench`: the prompts from their official place, held against their sha256; the long ones of Wan besides."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable

from s2g.benchmarks.vbench.prompts import AUGMENTED, COMMIT, FILE, OFFICIAL, fetched
from s2g.errors import UserError
from s2g.io.cache import put

RAW = f"https://raw.githubusercontent.com/Vchitect/VBench/{COMMIT}"
FILES = {  # name -> address, sha256
    FILE: (f"{RAW}/vbench/{FILE}", OFFICIAL),
    AUGMENTED: (
        f"{RAW}/prompts/augmented_prompts/Wan2.1-T2V-1.3B/{AUGMENTED}",
        "54fb940aea8f1ede1e8728f62d3e67efacdd7b341fb8a6c91308bcba874d5d5d",
    ),
}
WAIT = 60  # seconds for an answer


def download(address: str) -> bytes:
    """Download what lies at an address; UserError if that fails."""
    try:
        with urllib.request.urlopen(address, timeout=WAIT) as answer:
            return answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"{address}: cannot be fetched ({error})",
            todo="make a network available; or get it by hand: bench.path=FOLDER",
        ) from error


def fetch_file(name: str, get: Callable[[str], bytes] = download) -> str:
    """Put a file into the cache's folder unless it is there; what was done. UserError if it is not what it is to be."""
    place, (address, sha256) = fetched() / name, FILES[name]
    if place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == sha256:
        return f"{name}: there"
    content = get(address)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"{address}: not what it is to be (sha256 {found[:12]}, not {sha256[:12]})",
            todo=f"get {name} elsewhere, and put it into {place.parent}",
        )
    put(place, content)
    return f"{name}: fetched, {len(content):,} bytes, sha256 {found}"

"""`s2g fetch vbench`: VBench's prompts, and Wan's long versions of them."""

from __future__ import annotations

from collections.abc import Callable

from s2g.benchmarks.vbench.prompts import AUGMENTED, COMMIT, FILE, OFFICIAL, fetched
from s2g.io.download import download

RAW = f"https://raw.githubusercontent.com/Vchitect/VBench/{COMMIT}"
FILES = {  # name -> address, sha256
    FILE: (f"{RAW}/vbench/{FILE}", OFFICIAL),
    AUGMENTED: (
        f"{RAW}/prompts/augmented_prompts/Wan2.1-T2V-1.3B/{AUGMENTED}",
        "54fb940aea8f1ede1e8728f62d3e67efacdd7b341fb8a6c91308bcba874d5d5d",
    ),
}


def fetch_file(name: str, get: Callable[[str], bytes] | None = None) -> str:
    """Download a file of FILES into the cache unless it is there; return what was done, UserError if that fails."""
    return download(fetched() / name, *FILES[name], "get it by hand: bench.path=FOLDER", get)

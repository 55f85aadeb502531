"""`s2g fetch geneval2`: the official file of prompts and questions."""

from __future__ import annotations

from collections.abc import Callable

from s2g.benchmarks.geneval2.prompts import COMMIT, FILE, KEY, SHA256, fetched
from s2g.io.download import download

ADDRESS = f"https://raw.githubusercontent.com/facebookresearch/GenEval2/{COMMIT}/{FILE}"


def fetch_prompts(get: Callable[[str], bytes] | None = None) -> list[str]:
    """Download the file into the cache unless it is there; return what was done, UserError if that fails."""
    return [download(fetched() / FILE, ADDRESS, SHA256, f"get it by hand: {KEY}=FILE", get)]

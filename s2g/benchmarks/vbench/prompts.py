"""VBench's 946 prompts with their dimensions, which videos they ask for, and what each video's file is called.

Source: Vchitect/VBench (Apache-2.0), vbench/VBench_full_info.json, at the commit named below.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.errors import MissingError, UserError, unknown
from s2g.io.input_files import read_regular
from s2g.io.text_files import lines_of, read_text

FILE = "VBench_full_info.json"
AUGMENTED = "all_dimension_aug_wanx_seed42.txt"  # the long prompts of the leaderboard's Wan2.1-T2V-1.3B
COMMIT = "45e79ec14e69a2187202c675d2dbce1a71843d53"
OFFICIAL = "5dd2de80ee43cda750b2b72ea7023657c0b90d3702041c7e4608c65dbe50dccd"  # sha256 of the file's bytes
SOURCE = f"Vchitect/VBench at {COMMIT[:7]} (Apache-2.0), {FILE}, 0.2 MB"
COUNT, VIDEOS = 946, 6230  # prompts; videos asked for, those of repeated prompts counted twice
FLICKERING = "temporal_flickering"
SAMPLES, STATIC_SAMPLES = 5, 25  # videos of a prompt; of a flickering prompt, of which at most 5 that stand still are kept
DIGITS = 9  # of a sample's number; int() itself refuses some thousands
KEY = "bench.path"


@dataclass(frozen=True)
class Entry:
    """One of the file's entries."""

    prompt: str
    dimensions: tuple[str, ...]

    @property
    def samples(self) -> int:
        """Return how many videos it asks for."""
        return STATIC_SAMPLES if FLICKERING in self.dimensions else SAMPLES


@dataclass(frozen=True)
class Suite:
    """All entries in official order, and the file they are from.

    Items are sample 0 of every entry, then sample 1 of every entry, …, then samples 5 to 24 of the flickering ones.
    """

    entries: tuple[Entry, ...]
    path: Path

    @cached_property
    def items(self) -> list[tuple[int, int]]:
        """Return (entry, sample) of every item."""
        most = max(entry.samples for entry in self.entries)
        return [(at, sample) for sample in range(most) for at, entry in enumerate(self.entries) if sample < entry.samples]

    @cached_property
    def first(self) -> list[int]:
        """Return the first entry with the same prompt, by entry: its videos serve both."""
        places: dict[str, int] = {}
        return [places.setdefault(entry.prompt, at) for at, entry in enumerate(self.entries)]

    @cached_property
    def files(self) -> dict[str, int]:
        """Return items by official file name, in order of items; a prompt that is listed twice has one file a sample."""
        return {
            name_of(self.entries[at].prompt, sample): item
            for item, (at, sample) in enumerate(self.items)
            if self.first[at] == at
        }

    def prompts_of(self, dimension: str) -> list[str]:
        """Return the prompts of a dimension, in official order."""
        return [entry.prompt for entry in self.entries if dimension in entry.dimensions]


def name_of(prompt: str, sample: int) -> str:
    """Return a video's official name: the SHORT prompt unchanged, also if a long one was used."""
    return f"{prompt}-{sample}.mp4"


def parted(name: str) -> tuple[str, int] | None:
    """Return (prompt, sample) of a file name, None if it is not PROMPT-NUMBER with an ending; prompts contain dashes too."""
    prompt, dash, number = name.rpartition(".")[0].rpartition("-")
    plain = dash and number.isascii() and number.isdigit() and len(number) <= DIGITS and str(int(number)) == number
    return (prompt, int(number)) if plain else None


def folders(path: str) -> list[Path]:
    """List where the file is looked for: the typed path, or S2G_DATA's folder and that of `s2g fetch vbench`."""
    if path:
        return [Path(path).expanduser()]
    data = os.environ.get("S2G_DATA")
    return [*([Path(data) / "prompts" / "vbench"] if data else []), fetched()]


def fetched() -> Path:
    """Return the folder into which `s2g fetch vbench` puts files."""
    from s2g.io.cache import cache_folder

    return cache_folder() / "vbench"


def found_at(path: str) -> Path | None:
    """Return the first path at which the file exists, whatever is in it; None if it is nowhere."""
    return next((place for place in _places(path) if place.is_file()), None)


def _places(path: str) -> list[Path]:
    return [place if place.suffix == ".json" else place / FILE for place in folders(path)]


@cache
def load(path: str) -> Suite:
    """Read the official entries; UserError if the file is missing or is not the official one, byte for byte."""
    file = found_at(path)
    if file is None:
        where = " or ".join(str(place.parent) for place in _places(path))
        raise MissingError(
            KEY,
            path or "not given",
            f"no file {FILE} in {where}",
            todo=f"s2g fetch vbench ({SOURCE}), or {KEY}=FILE or FOLDER",
        )
    content = read_regular(file)
    found = hashlib.sha256(content).hexdigest()
    if found != OFFICIAL:
        get = f"s2g fetch vbench ({SOURCE})"
        own = file == fetched() / FILE  # which is fetched again; any other is found before it
        raise UserError(
            f"{KEY}: {file} is not the official file (sha256 {found[:12]}, not {OFFICIAL[:12]})",
            allowed="its bytes as published: an edited prompt is another bench",
            todo=get if own else f"remove or replace {file}, then {get}; or {KEY}=FILE or FOLDER of another",
        )
    return Suite(read(content), file)


def read(content: bytes) -> tuple[Entry, ...]:
    """Parse the file's bytes; UserError for an unknown dimension."""
    entries = tuple(Entry(one["prompt_en"], tuple(one["dimension"])) for one in json.loads(content))
    for entry in entries:
        for name in entry.dimensions:
            if name not in DIMENSIONS:
                raise unknown(f"{FILE}: dimension", name, DIMENSIONS)
    return entries


@cache
def long_prompts(path: str, count: int) -> tuple[tuple[str, ...], str]:
    """Read one long prompt for every entry, in official order, and their sha256; UserError if their number differs."""
    key = f"bench.augmented = {path or 'not given'}"
    if not path:
        raise UserError(f"{key}, and bench.prompts = augmented", todo="bench.augmented=FILE, or bench.prompts=short")
    lines = lines_of(read_text(Path(path).expanduser(), key, f"bench.augmented=FILE, such as VBench's {AUGMENTED}"))
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != count:
        raise UserError(
            f"{key}: {len(lines)} lines for {count} prompts",
            allowed="one line for each line of the official all_dimension.txt, in its order",
        )
    empty = next((number for number, line in enumerate(lines, 1) if not line.strip()), None)
    if empty:
        raise UserError(f"{key}: line {empty} is empty", allowed="a prompt in every line")
    prompts = tuple(line.strip() for line in lines)
    return prompts, hashlib.sha256("\n".join(prompts).encode()).hexdigest()


def colliding(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return groups of names that a case-insensitive file system takes for one."""
    by: dict[str, list[str]] = {}
    for name in names:
        by.setdefault(name.casefold(), []).append(name)
    return [tuple(group) for group in by.values() if len(group) > 1]

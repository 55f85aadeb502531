"""The official package's *_eval_results.json: {dimension: [value, [per-video records]]}, read with its traps.

trap                                              here
percent where fractions are meant                 refused, with the value
imaging_quality: value / 100, records 0 to 100    records are brought to fractions
dynamic_degree, human_action: records true/false  0 and 1; elsewhere a boolean is refused
blanks for underscores in names                   one name; an unknown one is refused with the nearest
values far out (weights or vocabulary not loaded) refused
temporal_flickering: videos renumbered            taken as places of the prompt, 0 to 4
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from s2g.benchmarks.vbench.dimensions import DIMENSIONS, plain
from s2g.benchmarks.vbench.prompts import parted
from s2g.errors import SeveralError, UserError, gathered
from s2g.io.input_files import is_litter
from s2g.io.text_files import parse_json, read_text

BOOLEAN = ("dynamic_degree", "human_action")  # whose records may be true and false
HUNDRED = ("imaging_quality",)  # whose records are 0 to 100
ROUNDING = 1e-6  # of float32 sums
HALF = 2e-3  # of cosines: CLIP's are in half precision on a GPU, where a frame's with itself may be 1.00098
COSINES = ("subject_consistency", "background_consistency", *(name for name, one in DIMENSIONS.items() if one.cosine))
APART = 1e-3  # of a value and the mean of its records, beyond which it is said


@dataclass(frozen=True)
class Scored:
    """One dimension as the package gives it, everything as fractions."""

    dimension: str
    value: float  # the package's own aggregate
    videos: Mapping[tuple[str, int], float]  # (prompt, sample) -> value; empty where the file has no records

    @property
    def apart(self) -> float:
        """Return the package's aggregate minus the mean of its records; 0 without records."""
        return self.value - sum(self.videos.values()) / len(self.videos) if self.videos else 0.0

    @property
    def remark(self) -> str:
        """Say that the two differ, from means over frames of unlike videos or over several GPUs; "" if they agree."""
        if abs(self.apart) <= APART:
            return ""
        return (
            f"{self.dimension}: the package's {self.value:.4f} is not the mean of its {len(self.videos)} videos' values, "
            + (f"{self.value - self.apart:.4f}")
        )


def read_files(paths: Sequence[str | Path]) -> dict[str, Scored]:
    """Read dimensions from one file, or several that complete each other; UserError for everything that is wrong in them.

    A folder stands for its *_eval_results.json. A dimension that two files have must be the same in both.
    """
    files = [file for path in paths for file in files_of(Path(path))]
    found: dict[str, Scored] = {}
    origin: dict[str, Path] = {}
    errors: list[UserError] = []
    for file in files:
        with gathered(errors):
            for name, scored in _read(file, _changed(file)).items():
                if name in found and found[name] != scored:
                    raise UserError(f"{file}: {name} is {scored.value:.4f}, and {found[name].value:.4f} in {origin[name]}")
                found[name], origin[name] = scored, file
    if errors:
        raise SeveralError.of(errors)
    return {name: found[name] for name in DIMENSIONS if name in found}


def files_of(path: Path) -> list[Path]:
    """Return the files that a typed path stands for: itself, or those in a folder; UserError if there are none."""
    path = path.expanduser()
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("*_eval_results.json") if not is_litter(file.name))
    if not files:
        raise UserError(f"{path}: no *_eval_results.json in it", todo="give the files by name")
    return files


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error


@cache
def _read(file: Path, changed: int) -> Mapping[str, Scored]:
    content = parse_json(read_text(file, str(file)), str(file), "the package's *_eval_results.json")
    if not isinstance(content, dict) or not content:
        raise UserError(f"{file}: no dimensions in it", allowed='{"subject_consistency": [0.95, [...]], ...}')
    return parse(content, str(file))


def parse(content: Mapping[str, Any], where: str) -> dict[str, Scored]:
    """Parse a file's content into dimensions; UserError for everything that is wrong."""
    found: dict[str, Scored] = {}
    errors: list[UserError] = []
    for name, given in content.items():
        with gathered(errors):
            scored = _scored(name, given, where)
            if scored.dimension in found:
                raise UserError(f"{where}: {scored.dimension} stands there twice, once as {name!r}")
            found[scored.dimension] = scored
    if errors:
        raise SeveralError.of(errors)
    return found


def _scored(typed: str, given: Any, where: str) -> Scored:
    try:
        name = plain(typed)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    value, records = (given, []) if not isinstance(given, list) else (given[0] if given else None, given[1:2])
    records = records[0] if records else []
    if not isinstance(records, list):
        raise UserError(f"{where}, {name}: no list of videos beside its value", allowed="[value, [per-video records]]")
    fraction = _fraction(name, value, where)
    videos: dict[tuple[str, int], float] = {}
    for record in records:
        whose, one = _record(name, record, where)
        if whose in videos:
            raise UserError(f"{where}, {name}: two values of video {whose[0]}-{whose[1]}.mp4")
        videos[whose] = one
    if videos and name in HUNDRED and max(videos.values()) <= 0.01 < fraction:
        raise UserError(
            f"{where}, {name}: its videos have values up to {100 * max(videos.values()):.4f}",
            allowed="0 to 100: the package divides the dimension's value alone by 100",
        )
    return Scored(name, fraction, videos)


def _fraction(name: str, value: Any, where: str) -> float:
    """Return a dimension's value; UserError if it is no fraction."""
    if isinstance(value, bool) or not _finite(value):
        raise UserError(f"{where}, {name} = {_short(value)}: no number", allowed="a fraction")
    least, slack = (-1.0 if DIMENSIONS[name].cosine else 0.0), _slack(name)
    if 1 + slack < value <= 100:
        raise UserError(
            f"{where}, {name} = {value:g}: it looks like percent",
            allowed="a fraction, as the package writes it" + ("; its videos alone are 0 to 100" if name in HUNDRED else ""),
            todo=f"write {value / 100:g} if it is",
        )
    if not least - slack <= value <= 1 + slack:
        raise UserError(
            f"{where}, {name} = {value:g}: far from any value it can have",
            allowed=f"{least:g} to 1",
            todo="look whether its weights and vocabulary were loaded; the package goes on without them",
        )
    return float(value)


def _record(name: str, record: Any, where: str) -> tuple[tuple[str, int], float]:
    """Return (prompt, sample) of a record's video, and its value as a fraction."""
    if not isinstance(record, dict) or not {"video_path", "video_results"} <= set(record):
        raise UserError(f"{where}, {name}: a record without video_path and video_results ({str(record)[:80]})")
    path, value = Path(str(record["video_path"])).name, record["video_results"]
    whose = parted(path)
    if whose is None:
        raise UserError(f"{where}, {name}: video {path} has no official name", allowed="PROMPT-NUMBER.mp4")
    if isinstance(value, bool) and name not in BOOLEAN:
        raise UserError(f"{where}, {name}: {path} is {value}", allowed=f"a number; true and false in {', '.join(BOOLEAN)}")
    if not _finite(value):
        raise UserError(f"{where}, {name}: {path} has {_short(value)}", allowed="a number")
    if name in BOOLEAN and value not in (0, 1):
        raise UserError(f"{where}, {name}: {path} has {value}", allowed="true and false, or 0 and 1")
    most, least, slack = (100.0 if name in HUNDRED else 1.0), (-1.0 if DIMENSIONS[name].cosine else 0.0), _slack(name)
    if not least - slack <= value <= most + slack:
        what = "it looks like percent" if most == 1 and 1 < value <= 100 else "far from any value it can have"
        raise UserError(f"{where}, {name}: {path} has {value:g}: {what}", allowed=f"{least:g} to {most:g}")
    return whose, float(value) / most


def _finite(value: Any) -> bool:
    """Return whether it is a number that a float can hold; integers in JSON may be of any length."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _short(value: Any) -> str:
    try:
        return f"{value}"[:80]
    except ValueError:  # more digits than Python writes out
        return "a number of very many digits"


def _slack(name: str) -> float:
    return HALF if name in COSINES else ROUNDING

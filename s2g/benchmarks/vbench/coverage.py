"""Which videos the package's results, or the arrays of a score, are of: what is missing, what is left out by rule."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.benchmarks.vbench.prompts import FLICKERING, SAMPLES, STATIC_SAMPLES, Suite
from s2g.benchmarks.vbench.results import Scored
from s2g.errors import UserError, unknown

SOME = (FLICKERING, "color")  # which leave videos out by rule: those that move; those whose object is not found
LISTED = 5  # of what lacks, named one by one
Arrays = Mapping[str, np.ndarray]  # by dimension [N] fractions, nan where an item has none


def wanted_of(suite: Suite, num: int) -> set[tuple[str, int]]:
    """Return (prompt, sample) of every video among the first `num` items that the package reads: samples 0 to 4."""
    return {(suite.entries[at].prompt, sample) for at, sample in suite.items[:num] if sample < SAMPLES}


def lacking(suite: Suite, scored: Mapping[str, Scored], wanted: set[tuple[str, int]]) -> list[str]:
    """List wanted videos without a value, a line a dimension; UserError for a video of no such prompt."""
    found = []
    for name, one in scored.items():
        prompts = dict.fromkeys(suite.prompts_of(name))
        for prompt, sample in one.videos:
            if prompt not in prompts:
                said = str(unknown(f"{name}: prompt", prompt, prompts)).splitlines()[0]
                raise UserError(said, allowed=f"the {len(prompts)} official prompts of {name}, letter for letter")
            most = STATIC_SAMPLES if name == FLICKERING else SAMPLES
            if sample >= most:
                raise UserError(f"{name}: {prompt}-{sample}.mp4: the package reads samples 0 to {most - 1} alone")
        if not one.videos:
            found.append(f"{name}: no per-video values")
        elif name not in SOME:
            lacks = [f"{p}-{s}.mp4" for p in prompts for s in range(SAMPLES) if (p, s) in wanted and (p, s) not in one.videos]
            if lacks:
                more = f" and {len(lacks) - LISTED} more" if len(lacks) > LISTED else ""
                found.append(f"{name}: {len(lacks)} videos without a value: {', '.join(lacks[:LISTED])}{more}")
    return found


def left_out(suite: Suite, scored: Mapping[str, Scored], wanted: set[tuple[str, int]]) -> list[str]:
    """Say what the two dimensions that leave videos out by rule have left out of results: it decides what their mean is of."""
    found = []
    for name, why in ((FLICKERING, "stand still for the static filter"), ("color", "show the object")):
        if name in scored and scored[name].videos:
            prompts = set(suite.prompts_of(name))
            none = len(prompts - {prompt for prompt, _ in scored[name].videos})
            of, most = len(scored[name].videos), sum(prompt in prompts for prompt, _ in wanted)
            if of < most:
                found.append(
                    f"{name} is of {of:,} videos, not {most:,}: those that {why}; {none} of {len(prompts)} prompts have none"
                )
    return found


def arrays_of(suite: Suite, scored: Mapping[str, Scored], num: int) -> dict[str, np.ndarray]:
    """Return [num] values of each of the sixteen dimensions by item, nan where an item has none.

    Of a prompt that is listed twice the values stand at the entry that has the dimension, though both have one video.
    """
    found = {name: np.full(num, np.nan) for name in DIMENSIONS}
    for item, (at, sample) in enumerate(suite.items[:num]):
        entry = suite.entries[at]
        for name in entry.dimensions:
            if name in scored:
                found[name][item] = scored[name].videos.get((entry.prompt, sample), np.nan)
    return found


def not_comparable(suite: Suite, arrays: Arrays, num: int, partial: bool) -> list[str]:
    """Say why a score of the first `num` items is not VBench's: missing videos, dimensions or videos without values."""
    found = []
    if (here := int(arrays["here"].sum())) < num:
        found.append(f"{here:,} of {num:,} videos were there")
    if lacks := [name for name in DIMENSIONS if np.isnan(arrays[name]).all()]:
        found.append(f"{'a partial total' if partial else 'no total'}: no values of {', '.join(lacks)}")
    gaps = []
    for name in DIMENSIONS:
        items = read_items(suite, name, num)
        few = int(np.isnan(arrays[name][items]).sum())
        if name not in SOME and 0 < few < len(items):
            gaps.append(f"{name} {few:,} of {len(items):,}")
    return [*found, f"videos without a value: {', '.join(gaps)}"] if gaps else found


def left_out_items(suite: Suite, arrays: Arrays, num: int) -> list[str]:
    """Say what the two dimensions that leave videos out by rule have left out of a score of the first `num` items."""
    found = []
    of, most = int((~np.isnan(arrays[FLICKERING])).sum()), len(read_items(suite, FLICKERING, num))
    if 0 < of < sum(FLICKERING in suite.entries[at].dimensions for at, _ in suite.items[:num]):
        # Held against what may be kept, not against all that were made for the filter to choose from.
        found.append(
            f"{FLICKERING} is of {of:,} videos that stand still: {SAMPLES} a prompt, {most:,}, are the most that are kept"
        )
    of, most = int((~np.isnan(arrays["color"])).sum()), len(read_items(suite, "color", num))
    if 0 < of < most:
        found.append(f"color is of the {of:,} of {most:,} videos that show the object")
    return found


def read_items(suite: Suite, name: str, num: int) -> list[int]:
    """Return those of the first `num` items that the package reads for a dimension: samples 0 to 4 of its prompts."""
    parts = enumerate(suite.items[:num])
    return [item for item, (at, sample) in parts if sample < SAMPLES and name in suite.entries[at].dimensions]

"""What is to be said of a score's arrays over items: which videos lack, and what dimensions that leave videos out are of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from s2g.benchmarks.vbench.coverage import SOME
from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.benchmarks.vbench.prompts import FLICKERING, SAMPLES, Suite

Arrays = Mapping[str, np.ndarray]


def not_comparable(suite: Suite, arrays: Arrays, num: int, partial: bool) -> list[str]:
    """Why a score of the first `num` items is not VBench's: videos that were not there, dimensions or videos without values."""
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


def left_out(suite: Suite, arrays: Arrays, num: int) -> list[str]:
    """What the two dimensions that leave videos out by rule are of."""
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
    """Those of the first `num` items that the package reads for a dimension: samples 0 to 4 of its prompts."""
    parts = enumerate(suite.items[:num])
    return [item for item, (at, sample) in parts if sample < SAMPLES and name in suite.entries[at].dimensions]

"""Which videos the package's results speak of, held against those they should speak of; and as arrays over items."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.benchmarks.vbench.prompts import FLICKERING, SAMPLES, STATIC_SAMPLES, Suite
from s2g.benchmarks.vbench.results import Scored
from s2g.errors import UserError, unknown

SOME = (FLICKERING, "color")  # which leave videos out by rule: those that move; those whose object is not found
LISTED = 5  # of what lacks, named one by one


def wanted_of(suite: Suite, num: int) -> set[tuple[str, int]]:
    """(prompt, sample) of every video among the first `num` items that the package reads: samples 0 to 4."""
    return {(suite.entries[at].prompt, sample) for at, sample in suite.items[:num] if sample < SAMPLES}


def lacking(suite: Suite, scored: Mapping[str, Scored], wanted: set[tuple[str, int]]) -> list[str]:
    """Which of the wanted videos the results do not speak of, a line a dimension; UserError for a video of no such prompt."""
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
    """What the two dimensions that leave videos out have left out, in words: it decides what their mean is of."""
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
    """[num] values of each of the sixteen dimensions by item, nan where an item has none.

    Of a prompt that is listed twice the values stand at the entry that has the dimension, though both have one video.
    """
    found = {name: np.full(num, np.nan) for name in DIMENSIONS}
    for item, (at, sample) in enumerate(suite.items[:num]):
        entry = suite.entries[at]
        for name in entry.dimensions:
            if name in scored:
                found[name][item] = scored[name].videos.get((entry.prompt, sample), np.nan)
    return found

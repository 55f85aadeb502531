"""Which videos two methods' results have in common: a paired difference is of the same videos, or says of which it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from s2g.benchmarks.vbench.coverage import LISTED, SOME
from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.benchmarks.vbench.prompts import name_of
from s2g.benchmarks.vbench.results import Scored

Results = Mapping[str, Scored]


def unpaired(a: Results, b: Results) -> list[str]:
    """What one has and the other lacks, a line a dimension; where videos are left out by rule, no prompt in common."""
    found = []
    for name in _both(a, b):
        mine, theirs = a[name].videos, b[name].videos
        if name in SOME:
            if not {prompt for prompt, _ in mine} & {prompt for prompt, _ in theirs}:
                found.append(f"{name}: no prompt in common")
            continue
        for who, more in (("A", mine.keys() - theirs.keys()), ("B", theirs.keys() - mine.keys())):
            if more:
                listed = ", ".join(name_of(*whose) for whose in sorted(more)[:LISTED])
                rest = f" and {len(more) - LISTED} more" if len(more) > LISTED else ""
                found.append(f"{name}: {who} alone has {len(more)} videos: {listed}{rest}")
    return found


def paired(a: Results, b: Results) -> tuple[dict[str, Scored], dict[str, Scored]]:
    """Both, of the videos that both have; where videos are left out by rule, each of its own. Without any it is in neither."""
    ours, theirs = dict[str, Scored](), dict[str, Scored]()
    for name in _both(a, b):
        one, other = a[name], b[name]
        if name not in SOME:  # there, which videos it is of is each method's own
            common = one.videos.keys() & other.videos.keys()
            one, other = (
                replace(of, videos={whose: value for whose, value in of.videos.items() if whose in common})
                for of in (one, other)
            )
        if one.videos and other.videos:
            ours[name], theirs[name] = one, other
    return ours, theirs


def _both(a: Results, b: Results) -> list[str]:
    return [name for name in DIMENSIONS if name in a and name in b and a[name].videos and b[name].videos]

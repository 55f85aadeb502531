"""Remarks on scores of a published bench that are not the published measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NOT_COMPARABLE = "not comparable with published"  # begins or ends what such a remark says


def not_comparable(common: Sequence[str], own: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line per kind of published numbers that a score is not comparable with; equal reasons share a line.

    common: reasons that apply to every kind; own: by kind, such as "HPSv2.1", the reasons of its scorer.
    """
    kinds: dict[tuple[str, ...], list[str]] = {}
    for kind, reasons in own.items():
        kinds.setdefault((*common, *reasons), []).append(kind)
    return [f"{NOT_COMPARABLE} {' and '.join(of)} numbers: {'; '.join(why)}" for why, of in kinds.items() if why]


def doubts_in(remarks: Sequence[str]) -> list[str]:
    """Return the remarks that say why a score is not the published measurement."""
    return [remark for remark in remarks if NOT_COMPARABLE in remark]

"""What is said beside a score of a published bench that is not the published measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def not_comparable(common: Sequence[str], own: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each kind of published numbers that a score cannot stand beside; kinds with the same reasons share it.

    common: reasons that hold for every kind; own: by kind, such as "HPSv2.1", the reasons of its scorer.
    """
    kinds: dict[tuple[str, ...], list[str]] = {}
    for kind, reasons in own.items():
        kinds.setdefault((*common, *reasons), []).append(kind)
    return [f"not comparable with published {' and '.join(of)} numbers: {'; '.join(why)}" for why, of in kinds.items() if why]

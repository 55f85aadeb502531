"""Benches by what they can do."""

from __future__ import annotations

from s2g.config.registry import BENCHES
from s2g.scoring.file_scoring import FileBench


def file_benches(kind: str | None = None) -> dict[str, type[FileBench]]:
    """Return the benches that score files in an official layout, by name; kind: only those of "images" or "videos"."""
    classes = {name: BENCHES.load(name) for name in BENCHES}
    return {
        name: cls for name, cls in classes.items() if issubclass(cls, FileBench) and cls.layout and kind in (None, cls.kind)
    }

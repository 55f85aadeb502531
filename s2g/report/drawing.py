"""Pictures of something else than numbers: each kind collects plain arrays from runs, and draws from those arrays alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from s2g.config.registry import Entry, Registry
from s2g.config.schema import read
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.specification import Profile, RunSpec
from s2g.io.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWINGS = Registry(
    "drawing.kind",
    {
        "samples": Entry("s2g.report.drawings.samples:Samples", "points of a mixture with the truth behind them"),
        "paths": Entry("s2g.report.drawings.paths:Paths", "the way of points from noise to data, on a line"),
        "vectors": Entry("s2g.report.drawings.vectors:Vectors", "CFG's push and S2's correction at points of the plane"),
        "embedding": Entry("s2g.report.drawings.embedding:Embedding", "features of images and of real ones by t-SNE"),
    },
)
Arrays = Mapping[str, np.ndarray]


class Drawing(Protocol):
    """A frozen dataclass of knobs; arrays are named GROUP/ROW/WHAT."""

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        """What is drawn, of the runs that were made, by place among `rows`; of a row that is several runs, the first."""
        ...

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        """The picture; nothing but the arrays and the labels of today is needed."""
        ...

    @property
    def alt(self) -> str:
        """What it shows, in words."""
        ...


def read_drawing(raw: Mapping[str, Any]) -> Drawing:
    """A drawing from its YAML; UserError for a kind or knob that is not there."""
    if "kind" not in raw:
        raise UserError("drawing.kind: missing", allowed=", ".join(DRAWINGS))
    return read(DRAWINGS.load(str(raw["kind"])), {key: value for key, value in raw.items() if key != "kind"}, "drawing")


def first_runs(rows: Sequence[RunSpec], runs: Mapping[int, Run]) -> dict[tuple[str, str], int]:
    """Group and row to the place of its first run."""
    found: dict[tuple[str, str], int] = {}
    for place in sorted(runs):
        found.setdefault((rows[place].group, rows[place].row), place)
    return found


def write_arrays(path: Path, arrays: Arrays) -> None:
    """As npz, atomically; the same arrays give the same bytes."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_bytes(path, stream.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote; UserError if it cannot be read."""
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})", todo="make it again") from error

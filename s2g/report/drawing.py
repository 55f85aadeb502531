"""Registry of drawings: figures that are not plots of scores. Each kind collects arrays from runs and draws from them alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.specification import Profile, RunSpec
from s2g.experiments.specification_file import load_drawing
from s2g.io.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arrays = Mapping[str, np.ndarray]


class Drawing(Protocol):
    """A frozen dataclass of knobs; arrays are named GROUP/ROW/NAME."""

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        """Return the arrays to draw; `runs` by index into `rows`; of a row of several runs, the first is drawn."""
        ...

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        """Return the figure, from the arrays and the current labels alone."""
        ...

    @property
    def alt(self) -> str:
        """Return the alt text."""
        ...


def read_drawing(raw: Mapping[str, Any]) -> Drawing:
    """Return a drawing from its YAML; UserError for an unknown kind or knob."""
    return load_drawing(raw)


def first_runs(rows: Sequence[RunSpec], runs: Mapping[int, Run]) -> dict[tuple[str, str], int]:
    """Return the index of the first run of each (group, row)."""
    first: dict[tuple[str, str], int] = {}
    for index in sorted(runs):
        first.setdefault((rows[index].group, rows[index].row), index)
    return first


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays as npz, atomically; the same arrays give the same bytes."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_bytes(path, stream.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote; UserError if it cannot be read."""
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})", todo="make it again") from error

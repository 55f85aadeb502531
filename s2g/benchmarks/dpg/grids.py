"""Grids of four images, as DPG-Bench's evaluator takes them: ID.png is two by two, cut into ID_0 to ID_3."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from s2g.errors import UserError
from s2g.io.cache import cache_folder
from s2g.io.images import read_image
from s2g.io.input_files import is_litter


def cut(grid: np.ndarray) -> list[np.ndarray]:
    """Cut a grid [2R, 2R, 3] into four images [R, R, 3], by rows; ValueError if it is not square or its side is odd."""
    side = grid.shape[0]
    if grid.shape[1] != side or side % 2:
        raise ValueError(f"{grid.shape[1]}x{side} pixels are no grid of two by two")
    half = side // 2
    return [grid[row : row + half, column : column + half] for row in (0, half) for column in (0, half)]


def cut_grids(folder: Path, ids: Sequence[str]) -> Path:
    """Return a folder of one file per image: `folder` itself, or where the grids in it, all named ID.*, were cut.

    UserError where grids and single images lie side by side, or a grid cannot be cut.
    """
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and not is_litter(file.name)]
    grids = [file for file in files if file.stem in set(ids)]
    if not grids:
        return folder
    if len(grids) < len(files):
        other = next(file for file in files if file.stem not in set(ids))
        raise UserError(f"{folder}: {grids[0].name} is a grid of four, and {other.name} is not", todo="move one kind away")
    cache = cache_folder() / "converted"
    cache.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="grids-", dir=cache))
    try:
        for file in grids:
            try:
                parts = cut(read_image(file))
            except ValueError as error:
                raise UserError(f"{file}: {error}", allowed="a square grid, as the official evaluator takes it") from error
            for number, part in enumerate(parts):
                Image.fromarray(part).save(place / f"{file.stem}_{number}.png")
    except BaseException:
        shutil.rmtree(place)
        raise
    return place

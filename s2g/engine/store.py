"""Where samples live: runs/<key>/{run.json, env.json, items/, units/, scores/}.

A unit counts as stored when its record exists; the record is written last, so what a stopped process left behind is
never mistaken for samples. What is missing is a set difference.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from s2g.engine.atomic import write_bytes, write_json
from s2g.engine.environment import environment
from s2g.engine.run import Run
from s2g.errors import UserError


@dataclass(frozen=True)
class Store:
    """The folder of one run."""

    folder: Path

    @staticmethod
    def of(run: Run, root: str | Path) -> Store:
        """The run's place below `root`, whether or not it exists yet."""
        return Store(Path(root).absolute() / run.key)

    def shown(self) -> str:
        """The folder as a user would type it."""
        here = Path.cwd()
        return str(self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder)

    def begin(self, run: Run, reuse: bool) -> None:
        """Make the folder and its run.json, or hold this start against the one that is there."""
        try:
            for name in ("items", "units", "scores"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            if not (self.folder / "run.json").exists():
                write_json(self.folder / "env.json", environment(run))
                write_json(
                    self.folder / "run.json",
                    {
                        "key": run.key,
                        "identity": run.identity(),
                        "fixed": {"reuse": reuse},
                        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
                    },
                )
        except OSError as error:
            raise UserError(
                f"runs = {self.folder.parent}: cannot be written ({error.strerror})",
                todo="give a folder you may write to: runs=FOLDER",
            ) from error
        begun = self.read_run()["fixed"]["reuse"]
        if begun != reuse:
            raise UserError(
                f"executor.reuse = {str(reuse).lower()}: run {run.key} was begun with {str(begun).lower()}",
                todo=f"keep executor.reuse={str(begun).lower()}, or use another folder: runs=FOLDER",
            )

    def read_run(self) -> dict[str, Any]:
        """run.json."""
        return json.loads((self.folder / "run.json").read_text())

    def stored(self) -> set[int]:
        """Indices of the units that are complete."""
        return {int(path.stem) for path in (self.folder / "units").glob("[0-9]*.json")}

    def missing(self, run: Run) -> list[int]:
        """Indices of the units the run still lacks, ascending."""
        return sorted(set(run.units) - self.stored())

    def record(self, unit: int) -> dict[str, Any]:
        """A unit's record."""
        return json.loads((self.folder / "units" / f"{unit:06d}.json").read_text())

    def put(self, unit: int, items: Sequence[int], images: np.ndarray, facts: dict[str, Any]) -> None:
        """Write uint8 images [B, H, W, 3], then the record that makes them count."""
        listed = []
        for item, image in zip(items, images, strict=True):
            content = png(image)
            name = f"{item:06d}.png"
            write_bytes(self.folder / "items" / name, content)
            listed.append({"item": item, "file": name, "sha256": hashlib.sha256(content).hexdigest()})
        write_json(self.folder / "units" / f"{unit:06d}.json", {"unit": unit, "items": listed, **facts})

    def images(self, items: Sequence[int]) -> np.ndarray:
        """Stored images [B, H, W, 3], uint8; UserError names one that cannot be read."""
        found = []
        for item in items:
            path = self.folder / "items" / f"{item:06d}.png"
            try:
                found.append(np.asarray(Image.open(path).convert("RGB")))
            except OSError as error:
                unit = self.folder / "units"
                raise UserError(
                    f"{path}: cannot be read ({error})",
                    todo=f"delete the record of its unit in {unit} and run again: the unit is made anew",
                ) from error
        return np.stack(found)


def png(image: np.ndarray) -> bytes:
    """A uint8 image [H, W, 3] as PNG bytes."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()

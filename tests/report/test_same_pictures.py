"""Pictures drawn twice, in two processes, from the same results: the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s2g.config.schema import CHECKOUT

RESULTS = CHECKOUT / "experiments" / "results"


@pytest.mark.slow("starts matplotlib twice")
def test_the_same_numbers_give_the_same_pictures(tmp_path: Path) -> None:
    for name in ("fig7a", "fig10", "fig12"):  # a plot, a drawing, a grid of images
        for file in RESULTS.glob(f"{name}-tiny.*"):
            if file.suffix in (".json", ".npz"):
                (tmp_path / "results").mkdir(exist_ok=True)
                shutil.copy(file, tmp_path / "results")
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "s2g.cli.main", "figures", "--results", "results", "--out", seed]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed})
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / seed).iterdir()} for seed in ("1", "2"))
    assert {name.partition(".")[2] for name in first} >= {"svg", "png", "drawing.svg", "grid.png"}
    assert first == second and b"<dc:date>" not in b"".join(first.values())

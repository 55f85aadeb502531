"""Figure 7c against redundancy: blocks in the order of their distances are found, and others are not."""

from __future__ import annotations

from pathlib import Path

import blocks_against_fd
import numpy as np
import pytest

from s2g.experiments.results import Cell, ResultRow, Results
from s2g.report.drawing import write_arrays


def test_blocks_are_held_against_their_own_distance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    distance = [3.0, -1.0, 0.5, 2.0, -4.0, 7.0, 1.0]
    rows = [ResultRow("tiny_sit", "s2", "S²", "", "run", cells={"fd": Cell(9.0)})]
    rows += [
        ResultRow("tiny_sit", f"block@[{at}]", "b", "", "run", cells={"fd": Cell(9.0, delta={"value": d})})
        for at, d in enumerate(distance)
    ]
    columns = {"fd": {"label": "FD", "higher": False, "digits": 1}}
    Results("fig7c", "tiny", None, {}, columns, tuple(rows)).write(tmp_path / "fig7c-tiny.json")
    same = np.exp(np.tile(distance, (2, 1)))
    other = np.tile([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 1))
    write_arrays(
        tmp_path / "redundancy-tiny.drawing.npz",
        {f"tiny_sit/level@0.5/{part}": values for part, values in (("change", same), ("excess", -same), ("gain", other))},
    )
    blocks_against_fd.main("tiny", tmp_path)
    line = capsys.readouterr().out.splitlines()[-2]
    assert "0.5" in line and "+1.00 (p 0.00" in line and "-1.00 (p 0.00" in line
    assert blocks_against_fd.permuted(np.arange(7.0), np.array(distance), 500) > 0.2

"""The GPU's measuring script for Wan: it runs, on a tiny network, and its CFG is the stock pipeline it is measured against."""

from __future__ import annotations

import json
from pathlib import Path

import gpu_wan
import pytest
import torch
from gpu_pipelines import CFG, PLAIN, REUSE, STOCK

from s2g.config.schema import CHECKOUT

WAYS = (STOCK, CFG, PLAIN, REUSE)


@pytest.mark.slow("many processes")
def test_a_rehearsal_measures_every_way_and_its_cfg_is_the_stock_pipeline(tmp_path: Path) -> None:
    assert gpu_wan.main(["--rehearse", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "rehearsal.json").read_text())
    assert [(row["precision"], row["way"]) for row in result["rows"]] == [(of, way) for of in ("bf16", "fp32") for way in WAYS]
    assert result["apart"]["wan_1_3b, fp32"] == {f"{CFG} / {STOCK}": 0, f"{REUSE} / {PLAIN}": 0}  # to the bit
    half = result["apart"]["wan_1_3b, bf16"]
    assert half[f"{CFG} / {STOCK}"] < 0.1 and half[f"{REUSE} / {PLAIN}"] == 0
    for at in range(0, len(result["rows"]), len(WAYS)):
        rows = result["rows"][at : at + len(WAYS)]
        assert [row["third_passes"] for row in rows] == [0, 0, 8, 8]
        tera = [row["tflop_per_item"] for row in rows]
        assert tera[0] == pytest.approx(tera[1]) and tera[1] < tera[3] < tera[2] < 1.5 * tera[1]
        assert rows[0]["to_stock"] == 1
    assert all(row["seconds"] > 0 and row["gigabytes"] > 0 and row["of_peak"] > 0 for row in result["rows"])
    page = (tmp_path / "rehearsal.md").read_text()
    assert "REHEARSAL" in page and "TFLOP / video" in page and "gpu_wan.py --rehearse" in result["command"]
    table = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 8 and len(set(table)) == 1  # each row has a number for each column


def test_frames_that_cannot_be_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu_wan.main(["--rehearse", "--frames", "80"])
    assert ended.value.code == 2 and "--frames is 1, 5, 9" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_wan.main([]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "no CUDA GPU" in said.err and "--rehearse" in said.err


def test_what_was_not_run_is_said_with_its_command() -> None:
    page = (CHECKOUT / "experiments" / "results" / "gpu" / "README.md").read_text()
    assert "python scripts/gpu_wan.py" in page and "Wan2.1 1.3B" in page
    assert "not run" in page or (CHECKOUT / "experiments" / "results" / "gpu" / "wan_1_3b.json").exists()

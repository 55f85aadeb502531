"""The GPU's measuring script: it runs, on a tiny network, and its port of the official loop is what the engine does."""

from __future__ import annotations

import json
from pathlib import Path

import gpu_sit
import pytest
import torch

from s2g.config.schema import CHECKOUT


@pytest.mark.slow("many processes")
def test_a_rehearsal_measures_every_way_and_takes_no_results_place(tmp_path: Path) -> None:
    assert gpu_sit.main(["--rehearse", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "rehearsal.json").read_text())
    assert {path.name for path in tmp_path.iterdir()} == {"rehearsal.json", "rehearsal.md"}
    assert [(row["precision"], row["way"]) for row in result["rows"]] == [
        (precision, way)
        for precision in ("bf16", "fp32+TF32")
        for way in ("official loop, CFG", "engine, CFG", "engine, S2 plain", "engine, S2 with reuse")
    ]
    assert result["apart"]["fp32+TF32"] < 1e-5 and result["apart"]["bf16"] < 0.05
    official, cfg, plain, reuse = (row["tflop_per_image"] for row in result["rows"][:4])
    assert official == pytest.approx(cfg) and cfg < reuse < plain < 1.5 * cfg
    assert all(row["images_per_second"] > 0 and row["of_peak"] > 0 for row in result["rows"])
    page = (tmp_path / "rehearsal.md").read_text()
    assert "REHEARSAL" in page and "no number means anything" in page and result["command"] in page
    assert result["date"] and result["machine"]
    table = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 8 and len(set(table)) == 1  # each row has a number for each column


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_sit.main([]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "no CUDA GPU" in said.err and "--rehearse" in said.err


def test_what_was_not_run_is_said_with_its_command() -> None:
    page = (CHECKOUT / "experiments" / "results" / "gpu" / "README.md").read_text()
    assert "python scripts/gpu_sit.py" in page
    assert "not run" in page or (CHECKOUT / "experiments" / "results" / "gpu" / "sit_xl.json").exists()

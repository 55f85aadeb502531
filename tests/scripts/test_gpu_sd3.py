"""The GPU's measuring script for SD3: it runs, on tiny networks, and its CFG is the stock pipeline it is measured against."""

from __future__ import annotations

import json
from pathlib import Path

import gpu_pipelines
import gpu_sd3
import pytest
import torch

from s2g.config.schema import CHECKOUT

WAYS = (gpu_pipelines.STOCK, gpu_pipelines.CFG, gpu_pipelines.PLAIN, gpu_pipelines.REUSE)


@pytest.mark.slow("many processes")
def test_a_rehearsal_measures_every_way_and_its_cfg_is_the_stock_pipeline(tmp_path: Path) -> None:
    assert gpu_sd3.main(["--rehearse", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "rehearsal.json").read_text())
    assert {path.name for path in tmp_path.iterdir()} == {"rehearsal.json", "rehearsal.md"}
    assert [(row["model"], row["precision"], row["way"]) for row in result["rows"]] == [
        (*of, way) for of in (("sd3", "fp32"), ("sd35", "bf16"), ("sd35", "fp32")) for way in WAYS
    ]
    for name in ("sd3, fp32", "sd35, fp32"):
        assert result["apart"][name][f"{gpu_pipelines.CFG} / {gpu_pipelines.STOCK}"] == 0  # to the bit
        assert result["apart"][name][f"{gpu_pipelines.REUSE} / {gpu_pipelines.PLAIN}"] < 1e-5
    assert result["apart"]["sd35, bf16"][f"{gpu_pipelines.CFG} / {gpu_pipelines.STOCK}"] < 0.1
    for at in range(0, len(result["rows"]), len(WAYS)):
        stock, cfg, plain, reuse = result["rows"][at : at + len(WAYS)]
        assert [row["third_passes"] for row in (stock, cfg, plain, reuse)] == [0, 0, 23, 23]
        tera = [row["tflop_per_item"] for row in (stock, cfg, plain, reuse)]
        assert tera[0] == pytest.approx(tera[1]) and tera[1] < tera[3] < tera[2] < 1.5 * tera[1]
        assert stock["to_stock"] == 1
    assert all(row["seconds"] > 0 and row["gigabytes"] > 0 and row["of_peak"] > 0 for row in result["rows"])
    page = (tmp_path / "rehearsal.md").read_text()
    assert "REHEARSAL" in page and "no number means anything" in page and result["command"] in page
    assert result["date"] and result["machine"] and "gpu_sd3.py --rehearse" in result["command"]
    table = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 12 and len(set(table)) == 1  # each row has a number for each column


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_sd3.main([]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "no CUDA GPU" in said.err and "--rehearse" in said.err


def test_what_was_not_run_is_said_with_its_command() -> None:
    page = (CHECKOUT / "experiments" / "results" / "gpu" / "README.md").read_text()
    assert "python scripts/gpu_sd3.py" in page
    assert "SD3-medium" in page and "SD3.5-medium" in page
    assert "not run" in page or (CHECKOUT / "experiments" / "results" / "gpu" / "sd3_medium.json").exists()

"""The bench of sampling: weights drawn on the device are those of a working network, and pages hold what was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench
import bench_scorers
import pytest
import torch
from bench import CFG, SMALL, STOCK, Row, beside_stock, drawn, page, scoring, sections
from gpu_measuring import Sizes, run_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("model", ["sd3", "sit_xl"])
def test_drawn_weights_are_all_there_and_the_fixed_ones_are_the_checkpoints(model: str) -> None:
    asks = "imagenet" if model == "sit_xl" else "prompts"
    outline = run_of(f"model={model}", "model.weights=random", f"bench={asks}", "model.dtype=bf16", *SMALL[model])
    network = drawn(outline, CPU).network
    assert not any(tensor.is_meta or not tensor.isfinite().all() for tensor in network.state_dict().values())
    table = network.pos_embed if model == "sit_xl" else network.pos_embed.pos_embed
    assert table.abs().max() <= 1 and {p.dtype for p in network.parameters()} == {torch.bfloat16}
    wide = max((p for p in network.parameters() if p.ndim == 2), key=lambda p: p.numel())
    assert float(wide.detach().float().std()) == pytest.approx(wide.shape[1] ** -0.5, rel=0.05)


def test_ours_is_timed_beside_the_stock_pipeline_and_s2_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, prepared = Sizes(CPU, 1, 2, 1, 16, 0), []
    monkeypatch.setattr(bench, "prepare_network", lambda network, blocks, kernels: prepared.append(kernels.compile))
    with torch.inference_mode():
        rows = list(beside_stock("sit_xl", (*SMALL["sit_xl"], "model.dtype=fp32"), sizes, ["graphs", "blocks"]))
    eager, graphs, blocks = [(CFG, STOCK), ("S2 with reuse", CFG)], "CFG as CUDA graphs", "CFG compiled"
    compiled = [
        (graphs, "stock CFG, eager"),
        ("S2 as CUDA graphs", graphs),
        (blocks, "stock CFG, eager"),
        ("S2 compiled", blocks),
    ]
    assert [(row.way, row.to) for row in rows] == [*eager, *compiled] and prepared == ["graphs", "blocks"]
    assert all(row.ratio > 0 and row.seconds for row in rows)


def test_scorers_are_timed_alone_and_together_on_networks_of_their_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"one": (lambda small: torch.nn.Conv2d(3, 8, 3), 16)}
    monkeypatch.setattr(bench_scorers, "NETWORKS", small)
    rows = list(scoring(Sizes(CPU, 1, 1, 1, 16, 0), small=True))
    assert [(row.way, row.to) for row in rows] == [("one at a time", "one at a time"), ("8 at once", "one at a time")]
    assert rows[0].ratio == 1 and rows[1].ratio > 0 and rows[0].section == "scoring an image, one"


def test_a_gpus_sections_all_begin_within_six_minutes_and_a_page_says_what_was_left_out() -> None:
    latest = [at for at, _ in sections(gpu=True, rehearse=False).values()]
    assert latest == sorted(latest) and latest[-1] < 360
    row = Row("sd3", CFG, STOCK, 0.9876, None)
    about = {"command": "c", "date": "d", "machine": "m", "torch": "t"}
    text = page({**about, "rows": [json.loads(json.dumps(vars(row)))], "left_out": ["wan"]})
    assert "| sd3 | CFG | stock CFG | 0.988 |  | 0.00 | 0.0 |" in text and "Left out: wan" in text
    assert row.line() == "sd3: CFG / stock CFG 0.988, 0.00 GB" and math.isfinite(row.ratio)


def test_a_section_that_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    def failing() -> Iterator[Row]:
        yield Row("one", CFG, STOCK, 1.0, None)
        raise RuntimeError("out of memory\nand more")

    measures = {"one": (60, failing), "two": (60, lambda: iter([Row("two", CFG, STOCK, 2.0, None)]))}
    monkeypatch.setattr(bench, "sections", lambda gpu, rehearse: measures)
    monkeypatch.setattr("sys.argv", ["bench.py", "--out", str(tmp_path)])
    assert bench.main() == 1
    result = json.loads((tmp_path / "bench.json").read_text())
    assert [row["ratio"] for row in result["rows"]] == [1.0, 2.0]
    assert result["left_out"] == ["one, which failed (RuntimeError: out of memory)"]
    assert "Traceback" in capsys.readouterr().err

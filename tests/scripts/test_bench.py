"""The bench of sampling: weights drawn on the device are those of a working network, and pages hold what was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bench
import bench_models
import bench_scorers
import gpu_sit
import pytest
import torch
from bench import Row, page, sections
from bench_models import CFG, CHEAPER, PLAIN, S2, STOCK, Timed, beside_stock, whole_run
from bench_networks import SMALL, TINY
from bench_scorers import scoring
from bench_small import free_network
from gpu_measuring import Sizes, Turns, in_turn, run_of
from gpu_weights import drawn

from s2g.engine.cost import PassCost
from s2g.guidance.cfg import CFG as Guided
from s2g.guidance.s2 import S2 as Stochastic
from s2g.network.attention import SLOT
from s2g.network.branch import Branch, DropBlocks
from s2g.network.evaluate import Account, Evaluator

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


def test_ours_is_timed_beside_stock_and_both_compiled_beside_stock_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes, prepared, slots = Sizes(CPU, 1, 4, 2, 16, 0), [], list[bool]()

    def prepare(network: Any, blocks: Any, kernels: Any) -> None:
        prepared.append(kernels.compile)
        for block in blocks:
            setattr(block, SLOT, block._call_impl)

    def official(network: Any, *given: Any) -> torch.Tensor:
        slots.append(getattr(network.blocks[0], SLOT) is not None)
        return stock(network, *given)

    stock = gpu_sit.official
    monkeypatch.setattr(bench_models, "prepare_network", prepare)
    monkeypatch.setattr(bench_models, "attention_kernel", lambda *_: nullcontext())  # no CUDA graphs on a CPU
    monkeypatch.setattr(gpu_sit, "official", official)
    with torch.inference_mode():
        rows = list(beside_stock("sit_xl", (*TINY["sit_xl"], "model.dtype=fp32"), sizes, ["eager", "graphs", "blocks"]))
    eager = [(CFG, STOCK), (S2, CFG), (PLAIN, CFG)]
    for said in ("as CUDA graphs", "compiled"):
        cfg, as_it_is, compiled = f"CFG {said}", "stock CFG, eager", f"stock CFG {said}"
        eager += [(cfg, as_it_is), (compiled, as_it_is), (cfg, compiled), (f"S2 {said}", cfg)]
    assert [(row.way, row.to) for row in rows] == eager and prepared == ["graphs", "blocks"]
    assert all(row.ratio > 0 and row.seconds and row.of_peak and row.rounds == 2 for row in rows)
    # Eager rounds first; then by value of executor.compile one warm call, and in each of two rounds one with and one without.
    assert slots[:2] == [False, False] and sorted(slots[2:7]) == sorted(slots[7:]) == [False, False, True, True, True]
    s2, plain = rows[1], rows[2]
    assert s2.counted is not None and plain.counted is not None and 1 < s2.counted < plain.counted < 1.5
    assert s2.whole is not None and plain.whole is not None and 1 < s2.whole < plain.whole < 1.5
    assert rows[0].counted is None and rows[0].outside is not None and 0 < rows[0].outside < 1


def test_rounds_draw_other_masks_and_cheaper_forms_cost_less() -> None:
    timed = Timed("sit_xl", (*TINY["sit_xl"], "model.dtype=fp32"), Sizes(CPU, 1, 10, 4, 16, 0))
    with torch.inference_mode():
        rows = {row.way: row for row in timed.cheaper(math.inf)}
    assert set(rows) == set(CHEAPER) and len(set(timed.flops["S2, draw=late"].values())) > 1
    shared, alone = (rows[f"naive S2, {more}"].counted for more in ("4 masks of 2 blocks", "no shared prefixes"))
    assert shared is not None and alone is not None and 1 < shared < alone
    late, every, both = (rows[f"S2, {form}"].counted for form in ("draw=late", "every=2", "draw=late every=2"))
    assert late and every and both and both < min(late, every)


def test_a_full_run_is_counted_as_the_engine_counts_it() -> None:
    """Eight of ten steps under S2, by hand: one block of three dropped, the mean over all masks."""
    cost = PassCost(0, (1,) * 4)
    # One of blocks 1 to 3 dropped, 3 of 4 run; with reuse 2, 1 or 0 blocks follow.
    assert whole_run(cost, Stochastic(drop=1), 10, reuse=False) == pytest.approx(1 + 0.8 * 3 / 8)
    assert whole_run(cost, Stochastic(drop=1), 10, reuse=True) == pytest.approx(1 + 0.8 * 1 / 8)
    assert whole_run(cost, Stochastic(drop=1, every=2), 10, reuse=True) == pytest.approx(1 + 0.4 * 1 / 8)
    assert whole_run(cost, Stochastic(drop=1, draw="late"), 10, reuse=True) == pytest.approx(1 + 0.8 * 0.5 / 8)
    assert whole_run(cost, Guided(), 10, reuse=True) is None


def test_no_round_begins_that_would_end_too_late_and_one_always_counts() -> None:
    told: list[int] = []
    sizes = Sizes(CPU, 1, 1, 5, 16, 1)
    turns = in_turn({"a": told.append, "b": told.append}, sizes, until=0)
    assert len(turns.seconds) == 1 and told == [0, 0, 0, 0]  # a warm-up round and the first that counts
    assert len(in_turn({"a": told.append}, sizes).seconds) == 5 and told[4:] == [0, 0, 1, 2, 3, 4]
    of = Turns(tuple({"a": float(value), "b": 1.0} for value in (1, 2, 3, 4, 5)), ())
    assert of.ratio("a", "b") == 3 and of.quartiles("a", "b") == (2, 4)


def test_a_step_outside_the_network_enters_every_block_under_control() -> None:
    free = free_network((4, 8, 8))
    account = Account()
    conditions = free.encode([0])
    with Evaluator(free, account=account) as evaluator:
        sub = Branch("cond", DropBlocks((5, 9)))
        evaluator((Branch("cond"), Branch("uncond"), sub), torch.zeros(1, 4, 8, 8), 0.5, conditions)
    assert account.blocks == {**dict.fromkeys(range(24), 2), **dict.fromkeys(range(6, 24), 3), 9: 2}


def test_scorers_are_timed_as_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    one = ("one", "little", lambda small: torch.nn.Conv2d(3, 8, 3), 16, 16)
    monkeypatch.setattr(bench_scorers, "NETWORKS", (one, ("two", "2", *one[2:4], 1)))
    rows = list(scoring(Sizes(CPU, 1, 1, 1, 16, 0), small=True))
    alone, eight, sixteen = "one at a time", "8 at once", "16 at once"
    of_two = [(alone, alone), (eight, alone)]
    assert [(row.way, row.to) for row in rows] == [(sixteen, sixteen), (alone, sixteen), (eight, sixteen), *of_two]
    assert rows[0].ratio == 1 and rows[1].ratio > 0 and rows[0].section == "scoring an image, little"


def test_a_gpus_sections_take_six_minutes_and_a_page_says_what_was_left_out() -> None:
    assert sum(seconds for seconds, _ in sections(gpu=True, rehearse=False).values()) <= 360
    row = Row("sd3", S2, CFG, 0.9876, None, counted=1.25, whole=1.24, quartiles=(0.97, 1.0), rounds=3)
    about = {"command": "c", "date": "d", "machine": "m", "torch": "t"}
    text = page({**about, "rows": [json.loads(json.dumps(vars(row)))], "left_out": ["wan"]})
    assert "| sd3 | S2 with reuse | CFG | 0.988 | 0.970 to 1.000 | 3 | 1.250 | 1.240 |" in text and "Left out: wan" in text
    assert "| process time |" in text
    said = "sd3: S2 with reuse / CFG 0.988 (0.970 to 1.000, 3 rounds), FLOPs 1.250, FLOPs of a full run 1.240"
    assert row.line() == said and math.isfinite(row.ratio)


def test_the_gpus_sections_rehearsed_on_tiny_networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All but the compiled ones, which need a compiler and its time, and the scorers."""
    found = sections(gpu=True, rehearse=True)
    quick = {name: of for name, of in found.items() if "compiled" not in name and name not in ("sit, batch 1", "scorers")}
    monkeypatch.setattr(bench, "sections", lambda gpu, rehearse: quick)
    monkeypatch.setattr("sys.argv", ["bench.py", "--gpu", "--rehearse", "--out", str(tmp_path)])
    assert bench.main() == 0
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    ways = {CFG, S2, PLAIN, "CFG, attention=math", "CFG, attention=flash"}
    models = {"sd35, batch 1, bf16", "sd3, batch 1, bf16", "sit_xl, batch 2, fp32", "wan_1_3b, batch 1, bf16"}
    assert {(row["section"], row["way"]) for row in rows} == {(model, way) for model in models for way in ways}
    assert torch.get_num_threads() == 1


def test_a_section_that_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    def failing(until: float) -> Iterator[Row]:
        yield Row("one", CFG, STOCK, 1.0, None)
        raise RuntimeError("out of memory\nand more")

    measures = {"one": (60, failing), "two": (60, lambda until: iter([Row("two", CFG, STOCK, 2.0, None)]))}
    monkeypatch.setattr(bench, "sections", lambda gpu, rehearse: measures)
    monkeypatch.setattr("sys.argv", ["bench.py", "--out", str(tmp_path)])
    assert bench.main() == 1
    result = json.loads((tmp_path / "bench.json").read_text())
    assert [row["ratio"] for row in result["rows"]] == [1.0, 2.0]
    assert result["left_out"] == ["one, which failed (RuntimeError: out of memory)"]
    assert "Traceback" in capsys.readouterr().err

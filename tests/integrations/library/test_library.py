"""Runs, samples and results as functions: the command's own keys and bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import s2g
from s2g.config.compose import compose_config
from s2g.engine.resolve import resolve
from s2g.errors import UserError
from s2g.integrations.library.run import Result

STEPS = "sampler.steps=4"


def near(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether images are the same but for the rounding of batches of other sizes."""
    return one.shape == other.shape and int(np.abs(one.astype(int) - other.astype(int)).max()) <= 1


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    torch.set_num_threads(1)
    root = str(tmp_path_factory.mktemp("runs"))
    return [s2g.run("model=tiny_sit", f"guidance={name}", STEPS, num=64, runs=root) for name in ("cfg", "s2")]


@pytest.mark.slow("starts the command")
def test_a_run_is_the_commands_own(results: list[Result]) -> None:
    typed = compose_config("model=tiny_sit", "guidance=s2", STEPS, "num=64")
    result = results[1]
    assert result.key == resolve(typed)[0].key and (Path(result.root) / result.key / "run.json").is_file()
    assert [image.size for image in result.images] == [(32, 32)] * 64
    assert result.pixels.shape == (64, 32, 32, 3) and result.pixels.dtype == np.uint8
    assert [entry["item"] for entry in result.items] == list(range(64))
    assert {"prompt", "caption", "file", "sha256"} <= set(result.items[0])
    assert 0 <= result.values["joint"].value <= 100 and str(result).startswith(f"{result.key}, n = 64: joint")


def test_a_stored_run_is_read_not_made_again(results: list[Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2g.engine.worker.sample_unit", None)
    again = s2g.run("model=tiny_sit", "guidance=s2", STEPS, num=16, runs=results[1].root)
    assert np.array_equal(again.pixels, results[1].pixels[:16])


def test_samples_without_a_store_are_the_runs_items(results: list[Result]) -> None:
    result = results[1]
    prompts = [entry["prompt"] for entry in result.items]
    model = ["tiny_sit", STEPS]
    assert np.array_equal(s2g.sample(model, result.run.guidance, prompts), result.pixels)
    # Each prompt with each seed; the noise is of (seed, prompt), the masks of the unit.
    two = s2g.sample(model, s2g.CFG(2.0), prompts[:2], seeds=[0, 5])
    one = s2g.sample(model, s2g.CFG(2.0), prompts[:2], seeds=5)
    assert two.shape == (4, 32, 32, 3) and near(two[[1, 3]], one)
    assert near(s2g.sample("tiny_sit", s2g.CFG(7.5), prompts[:1], steps=4, scale=2.0), two[:1])


def test_runs_are_compared_item_by_item(results: list[Result]) -> None:
    comparison = s2g.compare(results)
    (deltas,) = comparison.differences
    values = [result.values["joint"].value for result in results]
    assert deltas["joint"].value == pytest.approx(values[1] - values[0])
    low, high = deltas["joint"].low, deltas["joint"].high
    assert low is not None and high is not None and low <= deltas["joint"].value <= high
    assert f"Δ joint {deltas['joint'].value:+.4g} [{low:+.4g}, {high:+.4g}]" in str(comparison)
    with pytest.raises(UserError, match="compare: 1 runs"):
        s2g.compare(results[:1])
    other = s2g.run("model=tiny_sit", "guidance=none", STEPS, num=16, seed=1, runs=results[0].root)
    with pytest.raises(UserError, match="seed 1, not 0"):
        s2g.compare([results[0], other])


def test_scores_are_a_table(results: list[Result]) -> None:
    scores = results[1].scores
    assert isinstance(scores, pd.DataFrame) and len(scores) == 64 and scores.index.name == "item"
    assert scores["joint"].mean() == pytest.approx(results[1].values["joint"].value)
    table = s2g.compare(results).table
    assert list(table.columns) == ["run", "metric", "value", "low", "high", "delta", "delta low", "delta high"]


def test_mistakes_are_told_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'tiny_sit'"):
        s2g.run("model=tiny_sid", runs=str(tmp_path))
    with pytest.raises(UserError, match="omega"):
        s2g.run("guidance=s2", "guidance.omege=1", runs=str(tmp_path))
    with pytest.raises(UserError, match="'a cat' is no prompt of tiny_sit"):
        s2g.sample("tiny_sit", s2g.CFG(), ["a cat"])
    with pytest.raises(UserError, match="0 prompts and 1 seeds"):
        s2g.sample("tiny_sit", s2g.CFG(), [])
    with pytest.raises(UserError, match="S2 needs numbered steps"):
        s2g.sample(["tiny_sit", "sampler=dopri5"], s2g.S2(), [1])


def test_committed_results_are_read() -> None:
    results = s2g.load_results("table2")
    assert results.exhibit == "table2" and {row.row for row in results.rows} >= {"cfg", "s2"}
    with pytest.raises(UserError, match=r"there is no .*table99-tiny\.json"):
        s2g.load_results("table99")


def test_a_method_that_states_no_number_leaves_out_ten_percent() -> None:
    from s2g.guidance.base import MaskSampler, Step

    def dropped(method: s2g.S2, blocks: int) -> int:
        step = Step(5, 10, 0.5, 0.4, 0.5, 0, torch.zeros(1), MaskSampler(0, 0, 5, blocks))
        edit = method.branches(step)[-1].edit
        assert edit is not None
        return len(edit.dropped)

    assert [dropped(s2g.S2(), blocks) for blocks in (8, 24, 38, 57)] == [1, 2, 4, 6]
    assert [dropped(s2g.S2(drop=3), blocks) for blocks in (8, 24)] == [3, 3]

"""Units sampled in parts: how many items a CPU takes at once, and what that leaves as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.memory import items_at_once
from s2g.engine.redo import make_item
from s2g.engine.run import Run
from s2g.engine.worker import load
from s2g.network.evaluate import Evaluator
from s2g.sampling.dopri5 import Dopri5
from s2g.sampling.euler import Euler
from s2g.sampling.loop import sample
from s2g.store.store import Store

RunOf = Callable[..., Run]
FASHION = ("model=fashion_sit", "bench=fashion", "guidance=s2", "sampler.steps=2", "num=50")


def network(width: int, tokens: int, passes: str = "batched") -> Any:
    blocks = [nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width))]
    return SimpleNamespace(blocks=blocks, token_grid=(1, tokens), passes=passes, order=("cond", "uncond"))


def test_a_cpu_takes_as_many_items_at_once_as_leave_the_widest_activation_in_its_cache() -> None:
    # 4 bytes x 4 x 125 numbers x 50 tokens x 2 branches are 0.2 MB an item: 25 items are the 5 MB of the cache.
    at_once = {count: items_at_once(network(125, 50), Euler(2), count, "cpu") for count in (16, 25, 26, 50, 51)}
    assert at_once == {16: 16, 25: 25, 26: 13, 50: 25, 51: 13}
    assert items_at_once(network(125, 50, "separate"), Euler(2), 50, "cpu") == 50  # one branch a call
    assert (
        items_at_once(network(1250, 500), Euler(2), 64, "cpu") == 8
        and items_at_once(network(1250, 500), Euler(2), 3, "cpu") == 3
    )
    assert items_at_once(network(125, 50), Euler(2), 50, "cuda") == 50
    assert items_at_once(network(125, 50), Dopri5(), 50, "cpu") == 50  # its error is that of the whole unit


@pytest.mark.parametrize(
    ("model", "at_once"),
    [("fashion_sit", 13), ("fashion_sit_small", 25), ("tiny_sit", 16), ("digits_sit", 32), ("toy_2d", 128)],
)
def test_which_built_in_models_are_sampled_in_parts(model: str, at_once: int, run_of: RunOf) -> None:
    benches = {"tiny_sit": "shapes", "digits_sit": "digits", "toy_2d": "gmm"}
    run = run_of(f"model={model}", f"bench={benches.get(model, 'fashion')}", "guidance=cfg")
    assert items_at_once(load(run.model, "cpu")[0], run.sampler, run.model.unit, "cpu") == at_once


def test_a_unit_in_parts_has_the_bytes_and_facts_of_the_whole(tmp_path: Path, run_of: RunOf) -> None:
    run = run_of(*FASHION)
    store = Store.of(run, tmp_path)
    store.begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        execute([run], str(tmp_path), executor, True, Console(quiet=True)).check(run)
    record = store.record(0)
    assert "split" not in record  # that is what running out of memory leaves
    unit = run.unit(0)
    with torch.inference_mode(), Evaluator(load(run.model, "cpu")[0]) as evaluator:
        whole = sample(evaluator, run.guidance, run.sampler, evaluator.encode(run.bench.prompts(unit.items)), unit)
        images = evaluator.network.decode(whole.latents).movedim(1, -1).numpy()
    # A product sums each row alone; where a CPU's library does so in another order for another size, a grey level may differ.
    assert abs(store.items(range(50)).astype(int) - images.astype(int)).max() <= 1
    assert record["masks"] == [{str(n): list(mask) for n, mask in drawn.items()} for drawn in whole.masks]
    assert record["evaluations"] == evaluator.account.evaluations and record["calls"] == 4 * evaluator.account.calls
    assert record["effective_scale"]["by_evaluation"] == pytest.approx(whole.effective_scale.facts()["by_evaluation"])
    assert (make_item(run, 49, whole_unit=True) == store.items([49])[0]).all()

"""The way of a run's items: it begins at their noise and ends at what is stored, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.engine.trajectory import trajectories
from s2g.metrics.trajectories import bend, detour
from s2g.store.store import Store
from s2g.worlds.mixtures.quasi_random import quasi_random_normal


@pytest.mark.parametrize("method", ["s2_naive", "autoguidance"])
def test_it_ends_where_the_store_says(run_of: Callable[..., Run], tmp_path: Path, method: str) -> None:
    run = run_of("model=toy_1d", "bench=gmm", f"guidance={method}", "sampler.steps=6", "num=70", "model.noise=even")
    Store.of(run, tmp_path).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        execute([run], str(tmp_path), executor, True, Console(quiet=True)).check(run)
    states = trajectories(run, 70)
    assert states.shape == (70, 7, 1)
    assert (states[:, -1] == Store.of(run, tmp_path).items(range(70))).all()
    assert (states[:, 0] == np.stack([quasi_random_normal(0, item, 2, (1,)) for item in range(70)])).all()


def test_how_direct_a_way_is() -> None:
    straight = np.linspace(0, 3, 7)[None, :, None] * np.array([0.6, 0.8])
    back = np.array([[[0.0], [2], [1]]])  # two forward, one back
    assert detour(straight) == pytest.approx(1) and bend(straight) == pytest.approx(0, abs=1e-12)
    assert detour(back) == pytest.approx(3) and bend(back) == pytest.approx(1.5)

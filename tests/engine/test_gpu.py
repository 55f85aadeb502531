"""What only a GPU can show: the same run there, equal to the CPU's up to rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.store.store import Store


@pytest.mark.gpu
@pytest.mark.parametrize("reuse", [True, False])
def test_a_gpu_makes_the_same_images(tmp_path: Path, run_of, reuse: bool) -> None:
    run = run_of("num=16", "sampler.steps=4", "guidance.window=[0,1]")
    found = []
    for device in ("cpu", "cuda"):
        Store.of(run, tmp_path / device).begin(run, reuse)
        with LocalExecutor(ExecutorConfig(workers=1, device=device)) as executor:
            execute([run], str(tmp_path / device), executor, reuse, Console(quiet=True))
        found.append(Store.of(run, tmp_path / device).items(range(16)).astype(int))
    assert np.abs(found[0] - found[1]).max() <= 2

"""executor.compile and executor.attention: recorded with a run, and fixed once it has begun."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from s2g.cli.run import main
from s2g.config.kernels import Kernels
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.models.sit import SiTDenoiser
from s2g.store.locks import Locks, Owner
from s2g.store.locks import _started as started
from s2g.store.store import Store

RunOf = Callable[..., Run]

TYPED = ["guidance=s2", "num=16", "sampler.steps=2", "executor.workers=1"]


def test_they_are_recorded_and_other_ones_are_refused(tmp_path: Path, capfd: Any) -> None:
    assert main([*TYPED, "executor.attention=math", f"runs={tmp_path}"]) == 0
    (folder,) = tmp_path.iterdir()
    about = json.loads((folder / "run.json").read_text())
    assert about["fixed"] == {"reuse": True, "attention": "math"}
    (made,) = json.loads((folder / "env.json").read_text()).values()
    assert made["attention"] == "math" and "compile" not in made
    capfd.readouterr()
    assert main([*TYPED, f"runs={tmp_path}"]) == 2
    assert "executor.attention = auto: run" in (told := capfd.readouterr().err) and "was started with math" in told
    assert main([*TYPED, "executor.attention=math", "executor.compile=blocks", f"runs={tmp_path}"]) == 2
    assert "executor.compile = blocks: run" in capfd.readouterr().err


def test_what_the_device_does_not_have_is_refused_before_the_run_is_begun(tmp_path: Path, capfd: Any) -> None:
    for value, reason in (("attention=cudnn", "not on a CPU"), ("compile=graphs", "CUDA graphs need an NVIDIA GPU")):
        assert main([*TYPED, f"executor.{value}", "executor.device=cpu", f"runs={tmp_path}"]) == 2
        assert reason in capfd.readouterr().err and not list(tmp_path.iterdir())


def test_what_is_fixed_may_change_while_nothing_is_stored_and_nobody_uses_the_run(tmp_path: Path, run_of: RunOf) -> None:
    run = run_of(*TYPED)
    store = Store.of(run, tmp_path)
    store.begin(run, True, Kernels("blocks"))
    store.begin(run, True)
    assert store.read_run()["fixed"] == {"reuse": True}
    stranger = Locks(store.folder, me=replace(Owner.me(), pid=os.getppid(), started=started(os.getppid())))
    stranger.acquire("use-1")
    with pytest.raises(UserError, match="was started with true"):
        store.begin(run, False)
    stranger.close()
    store.begin(run, False, Kernels("none", "math"))
    assert store.read_run()["fixed"] == {"reuse": False, "attention": "math"} and store.read_run()["num"] == 16
    (store.folder / "units" / "000000.json").write_text("{}")
    with pytest.raises(UserError, match="was started with math"):
        store.begin(run, False)


def test_the_decoder_is_not_held_to_the_networks_attention(tmp_path: Path, run_of: RunOf, monkeypatch: Any) -> None:
    run, seen = run_of(*TYPED), []

    def decode(self: Any, latents: torch.Tensor) -> torch.Tensor:
        seen.append(torch.backends.cuda.flash_sdp_enabled())
        return decoded(self, latents)

    decoded = SiTDenoiser.decode
    monkeypatch.setattr(SiTDenoiser, "decode", decode)
    store = Store.of(run, tmp_path)
    store.begin(run, True, Kernels("none", "math"))
    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        execute([run], str(tmp_path), executor, True, Console(quiet=True), kernels=Kernels("none", "math")).check(run)
    assert seen == [True]

"""Shared fixtures: quiet threads, a temporary store, and a run resolved from what a user would type."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from s2g.config.compose import compose_unresolved, plain_data
from s2g.config.registry import GUIDANCE
from s2g.engine.resolve import resolve
from s2g.engine.run import Run


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The engine's own setting, so that bytes made in a test are those made by a worker."""
    torch.set_num_threads(1)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test's own cache, of ours and of the hub: nothing that lies on the machine is found."""
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache"


@functools.cache
def _compose(overrides: tuple[str, ...]) -> DictConfig:
    """Compose once per command line: Hydra takes 0.1 s, and many tests ask for the same run."""
    return compose_unresolved(overrides)


@pytest.fixture
def composed() -> Callable[..., dict[str, Any]]:
    """composed("guidance=s2", "guidance.omega=0.5"): the plain configuration that command line means."""

    def make(*overrides: str) -> dict[str, Any]:
        return plain_data(_compose(overrides))

    return make


@pytest.fixture
def run_of(composed: Callable[..., dict[str, Any]]) -> Callable[..., Run]:
    """run_of("guidance=s2", "guidance.omega=0.5"): the run that command line means."""

    def make(*overrides: str) -> Run:
        return resolve(composed(*overrides))[0]

    return make


@pytest.fixture
def own_methods(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Methods that a test registers are forgotten after it, by S2G and by Hydra."""
    known = dict(GUIDANCE.entries)
    monkeypatch.setattr(GUIDANCE, "entries", dict(known))
    yield
    for name in GUIDANCE.entries.keys() - known.keys():
        ConfigStore.instance().repo["guidance"].pop(f"{name}.yaml", None)


gc.disable()  # until all tests are collected: what is made meanwhile stays, and would be searched again and again


def pytest_collection_finish() -> None:
    """Keep modules and tests out of later collections: a search of them all takes half a second, and some tests ask for one."""
    gc.enable()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


# Fixtures that make every test that asks for them slow, and why.
SLOW_FIXTURES = {"browser": "browser", "built": "isolated environment", "site": "renders all results"}


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests with slow fixtures; skip tests marked gpu without a CUDA device, and external ones unless S2G_EXTERNAL=1."""
    for item in items:
        for fixture in SLOW_FIXTURES.keys() & getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow(SLOW_FIXTURES[fixture]))
        for marker in item.iter_markers("slow"):
            if len(marker.args) != 1 or not isinstance(marker.args[0], str):
                raise pytest.UsageError(f'{item.nodeid}: say why it is slow: @pytest.mark.slow("browser")')
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU on this machine"))
        if item.get_closest_marker("external") and os.environ.get("S2G_EXTERNAL") != "1":
            item.add_marker(pytest.mark.skip(reason="needs the network or gigabytes: S2G_EXTERNAL=1 runs it"))

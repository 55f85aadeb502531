"""The script that measures what the door costs: it compares equal work, and refuses to compare other work."""

from __future__ import annotations

from typing import Any

import door_overhead
import pytest
import torch
from door_overhead import Overhead, measure

import s2g


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_overhead, "WIDTH", 64)
    monkeypatch.setattr(door_overhead, "SIDE", 8)


def test_pairs_of_equal_work_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    scales: list[float] = []
    plain = door_overhead.call

    def counted(pipe: Any, scale: float) -> Any:
        scales.append(scale)
        return plain(pipe, scale)

    monkeypatch.setattr(door_overhead, "call", counted)
    with torch.inference_mode():
        found = measure(2)
    bare, guided = door_overhead.SCALE, 1.5
    assert scales == [bare, guided, bare, guided, guided, bare]
    assert len(found.process) == len(found.wall) == 2 and min(*found.process, *found.wall) > 0


def test_other_work_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = s2g.guide
    monkeypatch.setattr(s2g, "guide", lambda pipe, method: inner(pipe, s2g.CFG(method.scale + 1)))
    with torch.inference_mode(), pytest.raises(RuntimeError, match="other latents"):
        measure(1)


def test_what_is_printed() -> None:
    assert Overhead((1.0, 1.02, 1.04), (1.0, 1.1, 1.3)).line() == (
        "3 pairs: process time +2.0 % (quartiles +0.0 to +4.0); wall +10.0 % (quartiles +0.0 to +30.0)"
    )

"""Prompts that are not read whole are told of, and do not bury everything else."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from s2g.models.shared.text import TOLD, CachedText


def test_of_many_prompts_that_are_not_read_whole_the_first_few_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    unused: Any = None
    text = CachedText(unused, unused, torch.device("cpu"))
    for batch in range(10):
        text._say({f"prompt {batch} {at}": "77 of 90 tokens" for at in range(10)})
        text._say({"prompt 0 0": "77 of 90 tokens"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == TOLD + 1 and lines[0] == "prompt 'prompt 0 0' is not read whole: 77 of 90 tokens"
    assert lines[-1] == "more prompts are not read whole; they are not listed"

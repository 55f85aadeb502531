"""Truncated prompts are reported, a few of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from s2g.models.shared.text import MAX_REPORTED, CachedText


def test_of_many_prompts_that_are_not_read_whole_the_first_few_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    unused: Any = None
    text = CachedText(unused, unused, torch.device("cpu"))
    for batch in range(10):
        text._report({f"prompt {batch} {at}": "77 of 90 tokens" for at in range(10)})
        text._report({"prompt 0 0": "77 of 90 tokens"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MAX_REPORTED + 1 and lines[0] == "prompt 'prompt 0 0' truncated: 77 of 90 tokens"
    assert lines[-1] == "more prompts truncated; they are not listed"

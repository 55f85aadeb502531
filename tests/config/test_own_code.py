"""What counts as the code of a user's own class: its file and the modules beside it that it imports."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from s2g.config.own_code import own_code
from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.s2 import S2

METHOD = """
from dataclasses import dataclass
import json, {beside}
from s2g.guidance.base import BaseMethod

@dataclass(frozen=True)
class Mine(BaseMethod):
    scale: float = 1.0
"""
Importer = Callable[..., Any]


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Importer]:
    """imported(name, {file: text}): the module, from files written to a folder of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names: list[str] = []

    def do(name: str, files: dict[str, str]) -> Any:
        for file, text in files.items():
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(text)
        before = set(sys.modules)
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        names.extend(set(sys.modules) - before)
        return module

    yield do
    for name in names:
        sys.modules.pop(name, None)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_code_of_s2g_is_not_counted() -> None:
    assert own_code([CFG(3.0), S2(CFG(2.0)), CFG]) == {}


def test_a_file_and_its_neighbours_are_counted_and_nothing_else(imported: Importer) -> None:
    files = {
        "own_method.py": METHOD.format(beside="own_helper"),
        "own_helper.py": "from own_parts import deep\n",
        "own_parts/__init__.py": "",
        "own_parts/deep.py": "import own_method\n",  # a cycle
        "own_stranger.py": "",
    }
    Mine = imported("own_method", files).Mine
    expected = {name: sha(text) for name, text in files.items() if name != "own_stranger.py"}
    assert own_code([Mine(2.0)]) == own_code([Mine]) == own_code([S2(Mine())]) == expected


def test_a_class_that_is_in_no_file_is_refused() -> None:
    scope: dict[str, Any] = {"__name__": "typed_at_a_prompt"}
    exec("class Mine: pass", scope)
    with pytest.raises(UserError, match="Mine: its code is in no file"):
        own_code([scope["Mine"]])


def test_a_dataclass_here_is_own_code() -> None:
    @dataclass(frozen=True)
    class Mine(CFG):
        pass

    assert own_code([Mine()])["test_own_code.py"] == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

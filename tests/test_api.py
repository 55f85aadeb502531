"""The public names: what there is, that they lead somewhere, and that importing s2g is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import s2g
from s2g.config.registry import GUIDANCE


def test_every_public_name_leads_to_what_it_names() -> None:
    for name in s2g.PUBLIC:
        assert getattr(s2g, name).__name__ == name
    assert set(s2g.__all__) == {*s2g.PUBLIC, "__version__"} == set(dir(s2g))


def test_every_method_is_public() -> None:
    # What leaves blocks out of every pass is a study of the paper's, no method.
    assert {GUIDANCE.load(name).__name__ for name in GUIDANCE if name != "pruned"} <= set(s2g.PUBLIC)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'S3'; it has .*\bS2\b"):
        _ = s2g.S3


def test_importing_s2g_loads_nothing_else() -> None:
    code = "import sys, s2g; print([m for m in sys.modules if m.startswith('s2g.') or m in ('torch', 'numpy', 'hydra')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_types_that_editors_see_are_the_names_that_are_there() -> None:
    stub = ast.parse((Path(s2g.__file__).parent / "__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == s2g.PUBLIC
    assert all(alias.asname == alias.name for node in imports for alias in node.names)  # that is how a stub exports

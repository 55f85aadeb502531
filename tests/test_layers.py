"""Imports point downwards only: report -> studies -> benches -> engine -> sampling -> guidance -> network -> models."""

from __future__ import annotations

import ast
from pathlib import Path

import s2g

LAYERS = ("models", "network", "guidance", "sampling", "engine", "benches", "studies", "report")
ROOT = Path(s2g.__file__).parent


def imports(path: Path) -> set[str]:
    """Packages below s2g that a file imports, wherever in it."""
    nodes = ast.walk(ast.parse(path.read_text()))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[1] for name in names if name.startswith("s2g.")}


def test_no_layer_reaches_up() -> None:
    for height, layer in enumerate(LAYERS):
        above = set(LAYERS[height + 1 :])
        for path in (ROOT / layer).glob("*.py"):
            assert not imports(path) & above, path


def test_guidance_knows_nothing_of_models_and_no_method_is_named_outside_it() -> None:
    for path in (ROOT / "guidance").glob("*.py"):
        assert "models" not in imports(path), path
    for layer in ("network", "models", "sampling", "engine"):
        for path in (ROOT / layer).glob("*.py"):
            assert not {"S2", "CFG", "NaiveS2"} & {
                n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)
            }, path

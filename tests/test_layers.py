"""Imports point downwards only, and no module imports itself in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import s2g

ROOT = Path(s2g.__file__).parent
# From the bottom up. Packages on one line may import each other, as long as no circle of modules comes of it.
LAYERS = (
    ("errors", "rng"),
    ("io",),
    ("metrics",),
    ("config",),
    ("worlds",),
    ("models",),
    ("network",),
    ("guidance",),
    ("sampling",),
    ("engine", "store"),
    ("scoring",),
    ("benchmarks",),
    ("experiments",),
    ("report",),
    ("study",),
    ("integrations",),
    ("cli",),
)
HEIGHT = {package: height for height, packages in enumerate(LAYERS) for package in packages}


def modules() -> dict[str, Path]:
    """Every module of s2g by its dotted name; the scripts of isolated environments run elsewhere and are left out."""
    paths = (path for path in sorted(ROOT.rglob("*.py")) if "benchmarks" not in path.parts or "isolated" not in path.parts)
    return {".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of s2g that a file imports, wherever in it, also for the type checker alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "s2g":
            assert node.level == 0
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "s2g")


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: set(imported(path, known)) - {"s2g"} for name, path in known.items()}


def test_every_package_and_module_has_a_layer() -> None:
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert names - {"__init__"} == set(HEIGHT)


def test_no_module_imports_upwards(graph: dict[str, set[str]]) -> None:
    def height(name: str) -> int:
        return HEIGHT[name.split(".")[1]]

    upward = [
        f"{name} -> {other}"
        for name, others in graph.items()
        if name != "s2g"
        for other in others
        if height(other) > height(name)
    ]
    assert not upward


def test_no_module_imports_itself_in_a_circle(graph: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in graph.get(name, ()):
                walk(other, (*way, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_no_folder_holds_more_than_25_modules() -> None:
    folders = [ROOT, *(path for path in ROOT.rglob("*") if path.is_dir())]
    assert not [folder for folder in folders if len(list(folder.glob("*.py"))) > 25]


def test_guidance_knows_nothing_of_models_and_no_method_is_named_outside_it(graph: dict[str, set[str]]) -> None:
    # The space in which predictions combine is all that both sides speak of.
    allowed = {"s2g.models.prediction_space"}
    reached = {
        f"{name} -> {other}"
        for name, others in graph.items()
        for other in others - allowed
        if name.startswith("s2g.guidance") and other.startswith("s2g.models")
    }
    assert not reached
    for layer in ("network", "models", "sampling", "engine", "store"):
        for path in (ROOT / layer).rglob("*.py"):
            names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            assert not {"S2", "CFG", "NaiveS2"} & names, path

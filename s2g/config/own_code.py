"""Source hashes of methods, samplers, benches and models that are not part of S2G: edited code makes another run."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from s2g.errors import UserError

PACKAGE = __name__.partition(".")[0]


def own_code(values: Iterable[Any]) -> dict[str, str]:
    """Return {file name: sha256} of the code behind `values` (classes or instances); {} if all of it is S2G's.

    A class's file counts with the modules beside it that it imports, however deep, and so do the classes of a dataclass's
    fields. UserError for a class without a source file.
    """
    files: dict[str, Path] = {}
    for cls in _classes(values):
        if cls.__module__.partition(".")[0] in (PACKAGE, "builtins"):
            continue
        try:
            file = Path(inspect.getsourcefile(cls) or "").resolve()
        except TypeError:
            file = Path()
        if not file.is_file():
            raise UserError(
                f"{cls.__qualname__}: its code is in no file, so that a run cannot be told from one with other code",
                todo="put the class in a .py file and import it from there",
            )
        files |= {str(path.relative_to(file.parent)): path for path in _with_neighbours(file)}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())}


def _classes(values: Iterable[Any]) -> Iterator[type]:
    for value in values:
        yield value if isinstance(value, type) else type(value)
        if is_dataclass(value):
            inside = (getattr(value, field.name) for field in fields(value))
            yield from _classes(part for part in inside if is_dataclass(part))


def _with_neighbours(file: Path) -> set[Path]:
    """Return the file and what it imports from its own folder, transitively."""
    found, waiting = {file}, [file]
    while waiting:
        for path in _neighbours(waiting.pop(), file.parent):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


def _neighbours(file: Path, folder: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # "from . import x" and "from package import x" may both mean a module x.
            prefix = f"{node.module}." if node.module else ""
            names = [node.module or "", *(prefix + alias.name for alias in node.names)]
        for name in names:
            parts = name.split(".")
            for count in range(1, len(parts) + 1):
                place = folder.joinpath(*parts[:count])
                yield from (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())

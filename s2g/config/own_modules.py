"""`--with FILE`: a user's own module, imported before a command, so that what it registers is known to every command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from s2g.config.registry import BENCHES, GUIDANCE, MODELS, SAMPLERS
from s2g.errors import UserError

OPTION = "--with"


def import_own_modules(arguments: Sequence[str]) -> list[str]:
    """Import the file after every --with (or in --with=FILE) and return the other arguments; UserError if that fails.

    The module is importable by its name in worker processes too: its folder is put on sys.path.
    """
    others, waiting = [], list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == OPTION:
            if not waiting:
                raise UserError(f"{OPTION}: no file", allowed=f"{OPTION} FILE.py")
            _import(Path(waiting.pop(0)))
        elif argument.startswith(f"{OPTION}="):
            _import(Path(argument.removeprefix(f"{OPTION}=")))
        else:
            others.append(argument)
    return others


def _import(file: Path) -> None:
    if file.suffix != ".py" or not file.is_file():
        raise UserError(f"{OPTION} {file}: no Python file there", allowed="the path of a .py file")
    before, known = _registered(), file.stem in sys.modules
    folder, name = str(file.resolve().parent), file.stem
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except UserError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise UserError(f"{OPTION} {file}: {type(error).__name__}: {error}", todo=f"python {file} shows where") from error
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != file.resolve():
        raise UserError(f"{OPTION} {file}: {name} is the name of another module ({found})", todo="rename your file")
    if not known and _registered() == before:
        raise UserError(
            f"{OPTION} {file}: it registers nothing",
            todo="call add_method, add_model or add_bench at the end of the file, outside of if __name__ == '__main__'",
        )


def _registered() -> list[list[str]]:
    return [list(registry) for registry in (GUIDANCE, SAMPLERS, BENCHES, MODELS)]

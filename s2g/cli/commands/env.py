"""`s2g env`: list, build and check the isolated environments of scorers whose pins conflict with ours."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.errors import IsolatedError, UserError
from s2g.report.tables import console_table
from s2g.scoring.isolated.child import try_imports
from s2g.scoring.isolated.environment import Isolated, build, differences, find, known, uv_command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Isolated environments of scorers whose pins conflict with ours.",
)


@app.command(name="build")
def build_environments(
    names: Annotated[list[str], typer.Argument(help="Environments to build (s2g env list shows them), or all.")],
) -> None:
    """Build environments in the cache, unless they exist: pinned packages and their own Python, by uv."""
    console = Console(highlight=False)
    for isolated in [*known().values()] if list(names) == ["all"] else [find(name) for name in names]:
        count = len(isolated.requirements)
        console.print(f"{isolated.name}: {isolated.about}", soft_wrap=True)
        with console.status(f"{count} pinned packages, Python {isolated.python} …"):
            began = time.monotonic()
            made = build(isolated)
        took = f"built in {time.monotonic() - began:.0f} s" if made else "already built"
        console.print(f"{took}: {isolated.place}", soft_wrap=True)


@app.command(name="list")
def list_environments() -> None:
    """List all environments: hash, Python, packages, whether built, size."""
    console = Console(highlight=False)
    rows = [[one.name, one.hash, one.python, str(len(one.requirements)), _state(one), one.about] for one in known().values()]
    console.print(console_table(["environment", "hash", "Python", "packages", "state", ""], rows, left=True))
    console.print("s2g env build NAME makes one, s2g env doctor NAME checks it")


@app.command(name="doctor")
def check_environment(name: Annotated[str, typer.Argument(help="An environment (s2g env list shows them).")]) -> int:
    """Check an environment: uv, Python, every pin, and the imports of its script; exit code 1 if anything is wrong."""
    console, isolated = Console(highlight=False), find(name)
    try:
        uv = uv_command()
    except UserError as error:
        console.print(str(error))
        return 1
    built = isolated.built()
    rows = [
        ["uv", uv],
        ["folder", str(isolated.place)],
        ["hash", isolated.hash],
        ["script", isolated.identity()["child"]],
    ]
    if built is None:
        rows.append(["state", f"not built: s2g env build {name}"])
        console.print(console_table([isolated.name, isolated.about], rows, left=True))
        return 1
    try:
        changed = differences(isolated)
        pins = "as pinned" if not changed else f"changed by hand: {'; '.join(changed)}; delete the folder and build it again"
    except IsolatedError as error:
        changed, pins = ["all"], str(error)
    rows += [["Python", str(built["python"])], ["built", f"{built['date']} in {built['seconds']} s"], ["packages", pins]]
    wrong = ""
    with tempfile.TemporaryDirectory(prefix="s2g-") as folder:
        try:
            try_imports(isolated, Path(folder))
        except (IsolatedError, OSError) as error:
            wrong = str(error)
    rows.append(["its script", "starts and imports what it needs" if not wrong else "does not start"])
    console.print(console_table([isolated.name, isolated.about], rows, left=True))
    if wrong:
        console.print(wrong, soft_wrap=True, markup=False)
    return 1 if wrong or changed else 0


def _state(isolated: Isolated) -> str:
    if isolated.built() is None:
        return "not built"
    size = sum(path.lstat().st_size for path in isolated.place.rglob("*"))
    return f"built, {size / 2**30:.1f} GiB"

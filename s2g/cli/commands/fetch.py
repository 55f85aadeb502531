"""`s2g fetch`: download what a bench needs from its publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from s2g.errors import SeveralError, UserError, gathered, unknown


def _hps(prompts_only: bool) -> list[Callable[[], list[str]]]:
    from s2g.benchmarks.hps.fetch import fetch_checkpoint, fetch_prompts

    return [fetch_prompts, *([] if prompts_only else [fetch_checkpoint])]


def _compbench(prompts_only: bool) -> list[Callable[[], list[str]]]:
    from s2g.benchmarks.compbench.fetch import addresses, fetch_file

    names = [name for name in addresses() if name.endswith(".txt") or not prompts_only]
    return [lambda name=name: [fetch_file(name)] for name in names]


def _vbench(prompts_only: bool) -> list[Callable[[], list[str]]]:
    from s2g.benchmarks.vbench.fetch import FILES, fetch_file

    del prompts_only  # the weights lie on ten hosts; the error for a missing file names its address
    return [lambda name=name: [fetch_file(name)] for name in FILES]


FETCHED = {"compbench": _compbench, "hps": _hps, "vbench": _vbench}


def fetch(
    name: Annotated[str, typer.Argument(help="Bench whose prompts and scorers to download: compbench, hps or vbench.")],
    prompts_only: Annotated[bool, typer.Option("--prompts-only", help="Download prompts only, no weights.")] = False,
) -> None:
    """Download the files of a bench and print each; UserError listing every failure."""
    if name not in FETCHED:
        raise unknown("fetch", name, FETCHED)
    console, errors = Console(highlight=False), list[UserError]()
    for step in FETCHED[name](prompts_only):
        with gathered(errors):
            for line in step():
                console.print(line, soft_wrap=True)
    if errors:
        raise SeveralError.of(errors)
